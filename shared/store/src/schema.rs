//! Checks the schema of the database.

use crate::error::{Error, Result};
use sqlx::PgPool;

/// Fails unless the database is available and has the migration [`LATEST_MIGRATION`].
pub async fn check_ready(pool: &PgPool) -> Result<()> {
    let is_applied =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM seaql_migrations WHERE version = $1)")
            .bind(LATEST_MIGRATION)
            .fetch_one(pool)
            .await;

    match is_applied {
        Ok(true) => Ok(()),
        Err(error) if !is_table_missing(&error) => Err(error.into()),
        Ok(false) | Err(_) => Err(Error::Unavailable {
            what: "database schema",
            source: format!("migration {LATEST_MIGRATION} is not applied: run tiris-migrate up")
                .into(),
        }),
    }
}

fn is_table_missing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some("42P01")
}

/// The migration this build needs; a test compares it to the newest of the migrations crate.
pub const LATEST_MIGRATION: &str = "m0016_metadata";
