//! Decides whether a failed batch may be the fault of one of its events, which is then set aside, or of a condition that
//! passes with time.
//!
//! When in doubt it decides for waiting: a valid event set aside is a gap in the books, while a waiting lane is visible.

use tiris_store::error::Error;

/// SQLSTATE classes that the values of an event can cause: cardinality, data, integrity, triggered and external routines,
/// program limits, exceptions of triggers, internal errors. As all SQL is constant, the other classes concern the server,
/// the schema or our rights: a missing table or column, a role, a database being restored.
const CLASSES_OF_EVENTS: [&str; 10] = ["21", "22", "23", "27", "38", "39", "44", "54", "P0", "XX"];
const CHECK_VIOLATION: &str = "23514";

/// Returns whether the values of an event can be the cause of `error`.
pub(crate) fn may_be_the_event(error: &Error) -> bool {
    let sql_error = match error {
        Error::Internal(source) => source.downcast_ref::<sqlx::Error>(),
        _ => None,
    };

    match sql_error {
        None => !error.is_transient(),
        Some(sqlx::Error::Database(database)) => {
            let code = database.code().unwrap_or_default();
            // A missing partition for a row is reported as a check violation without a constraint.
            let no_partition = code == CHECK_VIOLATION && database.constraint().is_none();
            let mut classes = CLASSES_OF_EVENTS.iter();
            !no_partition && classes.any(|class| code.starts_with(class))
        }
        Some(
            sqlx::Error::Protocol(_)
            | sqlx::Error::BeginFailed
            | sqlx::Error::Configuration(_)
            | sqlx::Error::TypeNotFound { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. },
        ) => false,
        Some(_) => true,
    }
}
