//! Macros for the impls that value types share.

/// Implements `Deserialize` by [`Value::from_json`](super::Value::from_json).
macro_rules! deserialize_by_value {
    ($type:ty $(, $($generics:tt)*)?) => {
        impl<'de, $($($generics)*)?> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = <serde_json::Value as serde::Deserialize>::deserialize(deserializer)?;

                <Self as $crate::value::Value>::from_json(value)
                    .map_err($crate::value::Invalid::into_serde)
            }
        }
    };
}
pub(crate) use deserialize_by_value;

/// Implements `Deserialize` by [`Value`](super::Value) and `Serialize` as a string by `Display`.
macro_rules! serde_as_string {
    ($type:ty $(, $($generics:tt)*)?) => {
        $crate::value::newtype::deserialize_by_value!($type $(, $($generics)*)?);

        impl<$($($generics)*)?> serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}
pub(crate) use serde_as_string;

/// Implements [`Value`](super::Value) and serde for a JSON string, by `TryFrom<String>` and `Display`.
macro_rules! string_value {
    ($type:ty, $schema:expr $(, $($generics:tt)*)?) => {
        impl<$($($generics)*)?> $crate::value::Value for $type {
            fn schema() -> $crate::value::Schema {
                $schema
            }

            fn from_json(value: serde_json::Value) -> Result<Self, $crate::value::Invalid> {
                $crate::value::string(value)?.try_into()
            }

            fn to_json(&self) -> serde_json::Value {
                self.to_string().into()
            }
        }

        $crate::value::newtype::serde_as_string!($type $(, $($generics)*)?);
    };
}
pub(crate) use string_value;

/// Implements everything but the limits of a newtype of `String`, which are in its `TryFrom<String>`.
macro_rules! text_newtype {
    ($type:ty, $schema:expr $(, $($generics:tt)*)?) => {
        impl<$($($generics)*)?> $type {
            /// Creates a value from a text of the program, without checking it.
            #[must_use]
            pub fn from_static(text: &'static str) -> Self {
                Self(text.to_owned())
            }

            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns the owned text.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl<$($($generics)*)?> std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<$($($generics)*)?> std::str::FromStr for $type {
            type Err = $crate::value::Invalid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.to_owned().try_into()
            }
        }

        $crate::value::newtype::string_value!($type, $schema $(, $($generics)*)?);
    };
}
pub(crate) use text_newtype;
