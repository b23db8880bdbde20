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

    match found {
        Ok((true, false)) => Ok(()),
        Ok((_, true)) => {
            renew_sessions("the database became read-only");
            Err(Error::Unavailable {
                what: "database",
                source: "it is read-only: a standby, or a primary that was replaced".into(),
            })
        }
        Err(error) if !is_table_missing(&error) => Err(error.into()),
        Ok((false, false)) | Err(_) => Err(Error::Unavailable {
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
pub const LATEST_MIGRATION: &str = "m0013_orders";
