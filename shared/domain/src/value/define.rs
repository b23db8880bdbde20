//! What every value has: a schema, and both ways between it and JSON.

use super::invalid::Invalid;
use super::schema::Schema;

/// A value with limits of its own, wherever it comes from.
pub trait Value: Sized {
    /// How the value looks in JSON.
    fn schema() -> Schema;

    /// Reads the value.
    ///
    /// # Errors
    /// [`Invalid`] when it has the wrong type or breaks a limit.
    fn from_json(value: serde_json::Value) -> Result<Self, Invalid>;

    /// The value as JSON.
    fn to_json(&self) -> serde_json::Value;
}

/// Implements `Deserialize` by [`Value::from_json`], with its error; see [`Invalid::from_message`] for the kind.
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

/// Implements `Deserialize` and `Serialize` by [`Value`].
macro_rules! serde_by_value {
    ($type:ty) => {
        $crate::value::deserialize_by_value!($type);

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::value::Value::to_json(self).serialize(serializer)
            }
        }
    };
}
pub(crate) use serde_by_value;
