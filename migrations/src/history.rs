//! The form of the history tables: native partitions or hypertables of TimescaleDB.
//!
//! A move from one form to the other outside of migrations, for a database whose server got TimescaleDB later or is about
//! to lose it. How a history is moved is in the schema's functions.

use crate::connect;
use crate::lock::under_lock;
use anyhow::{Context, Result};

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum HistoryKind {
    /// Monthly range partitions.
    Native,
    /// Hypertables of TimescaleDB.
    Timescale,
}

impl HistoryKind {
    /// Its name in the database and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Timescale => "timescale",
        }
    }
}

/// The form the history has, and why it cannot be TimescaleDB's, if it cannot.
pub async fn history(database_url: &str) -> Result<(String, Option<String>)> {
    let mut connection = connect::connect(database_url).await?;

    sqlx::query_as("SELECT history_kind(), timescale_refusal()")
        .fetch_one(&mut connection)
        .await
        .context("the schema is not that of this program: run tiris-migrate up")
}

/// Moves the history into the form `to`, in one transaction; answers whether it had another. Services wait meanwhile.
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
            .context("the schema is not that of this program: run tiris-migrate up")?;

        sqlx::query(convert)
            .execute(&mut *transaction)
            .await
            .context("nothing was changed")?;
        transaction.commit().await?;

        Ok(before != to.name())
    })
    .await
}
