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
