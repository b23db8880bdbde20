//! Explains errors of PostgreSQL to the user of the command.

/// Returns the error with its causes, without the repetitions of the driver and the line in the source of PostgreSQL that it
/// adds.
#[must_use]
pub fn words(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let of_database = match cause.downcast_ref() {
            Some(sqlx::Error::Database(error)) => Some(error.message()),
            _ => None,
        };
        let said = of_database.map_or_else(|| cause.to_string(), str::to_owned);

        if text.is_empty() {
            text = said;
        } else if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        if of_database.is_some() {
            break;
        }
    }
    text
}

/// Returns advice about an error; `None` for errors without any.
#[must_use]
pub fn hint(error: &anyhow::Error) -> Option<&'static str> {
    let mut causes = error.chain();
    let code = causes.find_map(|cause| match cause.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Database(error)) => error.code(),
        _ => None,
    });

    Some(match code.as_deref() {
        Some("28P01" | "28000") => "check user and password in the database address (DATABASE_URL)",
        Some("3D000") => "create the database first, for example with createdb",
        Some("42501") => "the user must own the database or its schema public",
        Some("42P01" | "42883") => {
            "the schema is missing or older than this program: run tiris-migrate up"
        }
        Some("55P03") => "another session locks the tables: try again later; nothing was changed",
        Some("53200") => {
            "the server has too few locks or too little memory: raise max_locks_per_transaction"
        }
        Some("53100") => "free space on the server's disk and try again; nothing was changed",
        _ if is_transient(error) => {
            "check that the server is running, and host and port; --wait-seconds waits longer"
        }
        _ => return None,
    })
}

/// Returns whether waiting helps: no server on the port yet, or a server that is starting or full.
pub(crate) fn is_transient(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Io(_)) => true,
        // Starting or stopping, all connections in use.
        Some(sqlx::Error::Database(error)) => {
            matches!(error.code().as_deref(), Some("57P03" | "53300"))
        }
        _ => error.is::<tokio::time::error::Elapsed>(),
    }
}
