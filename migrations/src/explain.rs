//! Errors in words for the person who runs the command.
//!
//! Owns: what an error of PostgreSQL means, whether it passes by itself, and what to do about it. Must not know: which command failed.

/// The error with its causes, each said once: the driver repeats a cause in its own text.
#[must_use]
pub fn words(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// What to do about an error, where that can be told.
#[must_use]
pub fn hint(error: &anyhow::Error) -> Option<&'static str> {
    let code = error
        .chain()
        .find_map(|cause| match cause.downcast_ref::<sqlx::Error>() {
            Some(sqlx::Error::Database(error)) => error.code(),
            _ => None,
        });

    Some(match code.as_deref() {
        Some("28P01" | "28000") => "user and password stand in the database address (DATABASE_URL)",
        Some("3D000") => "create the database first, for example with createdb",
        Some("42501") => "the user must own the database or its schema public",
        Some("42P01" | "42883") => {
            "the schema is not there or older than this program: run tiris-migrate up"
        }
        Some("55P03") => {
            "somebody else uses the tables for long: try again later; nothing was changed"
        }
        Some("53200") => {
            "the server has too few locks or too little memory: raise max_locks_per_transaction"
        }
        Some("53100") => "make room on the server's disk and try again; nothing was changed",
        _ if passes_by_itself(error) => {
            "is the server running, and are host and port right? --wait-seconds waits longer"
        }
        _ => return None,
    })
}

/// Whether waiting helps: nobody listens yet, or the server starts or is full.
pub(crate) fn passes_by_itself(error: &anyhow::Error) -> bool {
    if error.is::<tokio::time::error::Elapsed>() {
        return true;
    }
    match error.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Io(_)) => true,
        // Starting or stopping, all connections taken.
        Some(sqlx::Error::Database(error)) => {
            matches!(error.code().as_deref(), Some("57P03" | "53300"))
        }
        _ => false,
    }
}
