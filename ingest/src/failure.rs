//! Whether a failed batch is due to one of its messages, which is then put aside, or to a transient condition, which is
//! waited out.
//!
//! It errs on the side of waiting: a healthy event put aside is a hole in the books, while a lane that waits says so.

use tiris_store::error::Error;

/// SQLSTATE classes the values of an event can bring about: cardinality, data, integrity, triggered and external
/// routines, program limits, exceptions of triggers, internal errors. With constant SQL all others are about the
/// server, the schema or our rights there: a missing table or column, a role, a database being restored.
const CLASSES_OF_EVENTS: [&str; 10] = ["21", "22", "23", "27", "38", "39", "44", "54", "P0", "XX"];
const CHECK_VIOLATION: &str = "23514";

/// Whether the values of an event can be the reason of `error`.
#[must_use]
pub fn may_be_the_event(error: &Error) -> bool {
    if error.is_transient() {
        return false;
    }
    let Error::Internal(source) = error else {
        return true;
    };
    let Some(error) = source.downcast_ref::<sqlx::Error>() else {
        return true;
    };

    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            // A missing partition for a row is reported as a check violation without a constraint.
            let no_partition = code == CHECK_VIOLATION && database.constraint().is_none();
            !no_partition
                && CLASSES_OF_EVENTS
                    .iter()
                    .any(|class| code.starts_with(class))
        }
        sqlx::Error::Protocol(_)
        | sqlx::Error::BeginFailed
        | sqlx::Error::Configuration(_)
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. } => false,
        _ => true,
    }
}
