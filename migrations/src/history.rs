//! The storage of the history tables: native partitions or TimescaleDB hypertables.
//!
//! Converts between them outside of migrations, for a server that gains or loses TimescaleDB. The schema's functions
//! contain the conversion.

use crate::connect;
use crate::lock::under_lock;
use crate::roles;
use anyhow::{Context, Result};

/// The context of an error that is usually due to another schema.
const OTHER_SCHEMA: &str = "the schema is not that of this program: run tiris-migrate up";

/// The storage of the history tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum HistoryKind {
    /// Monthly range partitions.
    Native,
    /// TimescaleDB hypertables.
    Timescale,
}

impl HistoryKind {
    /// Returns the name in the database and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Timescale => "timescale",
        }
    }
}

/// Returns the storage of the history, and the reason if TimescaleDB cannot be used.
pub async fn history(database_url: &str) -> Result<(String, Option<String>)> {
    let mut connection = connect::connect(database_url).await?;

    sqlx::query_as("SELECT history_kind(), timescale_refusal()")
        .fetch_one(&mut connection)
        .await
        .context(OTHER_SCHEMA)
}

/// Converts the storage in one transaction, which blocks services; returns whether it had to change.
pub async fn convert_history(database_url: &str, to: HistoryKind) -> Result<bool> {
    let convert = match to {
        HistoryKind::Native => "SELECT history_to_native()",
        HistoryKind::Timescale => "SELECT history_to_timescale()",
    };

    under_lock(database_url, async |pool| {
        let mut transaction = pool.begin().await?;
        let before: String = sqlx::query_scalar("SELECT history_kind()")
            .fetch_one(&mut *transaction)
            .await
            .context(OTHER_SCHEMA)?;

        sqlx::query(convert)
            .execute(&mut *transaction)
            .await
            .context("nothing was changed")?;
        // Rights on columns are not copied.
        roles::apply(&mut transaction).await?;
        transaction.commit().await?;

        Ok(before != to.name())
    })
    .await
}
