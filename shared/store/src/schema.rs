//! Whether the database has the schema this build needs.

use crate::error::{Error, Result};
use sqlx::PgPool;

/// Whether the database answers and has the newest migration applied.
pub async fn check_ready(pool: &PgPool) -> Result<()> {
    let applied: Vec<String> = sqlx::query_scalar("SELECT version FROM seaql_migrations")
        .fetch_all(pool)
        .await
        .map_err(|error| {
            let missing = error
                .as_database_error()
                .and_then(|e| e.code())
                .is_some_and(|code| code == "42P01");
            if missing {
                not_migrated()
            } else {
                error.into()
            }
        })?;
    if applied.iter().any(|version| version == LATEST_MIGRATION) {
        Ok(())
    } else {
        Err(not_migrated())
    }
}

/// The migration this build needs; a test holds it to the newest of the migrations crate.
pub const LATEST_MIGRATION: &str = "m0009_owner_statistics";

fn not_migrated() -> Error {
    Error::Unavailable {
        what: "database schema",
        source: format!("migration {LATEST_MIGRATION} is not applied: run tiris-migrate up").into(),
    }
}
