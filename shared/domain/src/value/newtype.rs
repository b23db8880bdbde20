//! What newtypes have in common: serde by [`Value`], and access to a text.

pub(crate) use super::define::Value;
pub(crate) use super::invalid::Invalid;

/// Implements `Deserialize` by [`Value::from_json`], with its error; [`Invalid::from_message`] restores
/// the kind of the error.
macro_rules! deserialize_by_value {
    ($type:ty $(, $($generics:tt)*)?) => {
        impl<'de, $($($generics)*)?> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = <serde_json::Value as serde::Deserialize>::deserialize(deserializer)?;

                <Self as $crate::value::newtype::Value>::from_json(value)
                    .map_err($crate::value::newtype::Invalid::into_serde)
            }
        }
    };
}
pub(crate) use deserialize_by_value;

/// Implements `Deserialize` and `Serialize` by [`Value`].
macro_rules! serde_by_value {
    ($type:ty) => {
        $crate::value::newtype::deserialize_by_value!($type);

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::value::newtype::Value::to_json(self).serialize(serializer)
            }
        }
    };
}
pub(crate) use serde_by_value;

/// Implements what every newtype of a `String` has, besides its limits.
macro_rules! text_newtype {
    ($type:ty $(, $($generics:tt)*)?) => {
        impl<$($($generics)*)?> $type {
            /// A text that stands in the program, which is not checked.
            #[must_use]
            pub fn from_static(text: &'static str) -> Self {
                Self(text.to_owned())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, owned.
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

        $crate::value::newtype::deserialize_by_value!($type $(, $($generics)*)?);
    };
}
pub(crate) use text_newtype;
