//! Checks the schema of the database.

use crate::error::{Error, Result};
use sqlx::PgPool;
use tiris_runtime::database::renew_sessions;

/// Fails unless the database accepts changes and has the migration [`LATEST_MIGRATION`].
pub async fn check_ready(pool: &PgPool) -> Result<()> {
    let found: sqlx::Result<(bool, bool)> = sqlx::query_as(
        "SELECT EXISTS (SELECT FROM seaql_migrations WHERE version = $1), \
         current_setting('transaction_read_only') = 'on'",
    )
    .bind(LATEST_MIGRATION)
    .fetch_one(pool)
    .await;

    let why = match found {
        Ok((true, false)) => return Ok(()),
        Ok((_, true)) => {
            renew_sessions("the database became read-only");
            return Err(Error::Unavailable {
                what: "database",
                source: "it is read-only: a standby, or a primary that was replaced".into(),
            });
        }
        Ok((false, false)) => not_applied(),
        Err(error) => match code(&error).as_deref() {
            Some(TABLE_MISSING) => not_applied(),
            Some(DENIED) => format!(
                "the user of the database may not read it ({error}): make it a member of tiris_api or tiris_ingest, and \
                 run tiris-migrate up"
            ),
            _ => return Err(error.into()),
        },
    };

    Err(Error::Unavailable {
        what: "database schema",
        source: why.into(),
    })
}

fn not_applied() -> String {
    format!("migration {LATEST_MIGRATION} is not applied: run tiris-migrate up")
}

fn code(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    Some(code.into_owned())
}

const TABLE_MISSING: &str = "42P01";
const DENIED: &str = "42501";

/// The migration this build needs; a test compares it to the newest of the migrations crate.
pub const LATEST_MIGRATION: &str = "m0016_metadata";
