//! Continues the purge of deleted tradings that a request, or a process that died, left unfinished.
//!
//! Several workers may purge at once, each another trading. Every piece is a transaction, so the purge can be interrupted
//! anywhere.

use sqlx::PgPool;
use std::time::Duration;
use tiris_domain::ids::TradingId;
use tiris_store::error::Result;
use tiris_store::tradings::{self, Purged};

/// How often the worker looks for tradings to purge.
const INTERVAL: Duration = Duration::from_secs(60);
/// Tradings read at once.
const TRADINGS_AT_ONCE: u32 = 100;
/// Rows of each kind removed in one transaction, well within the time limit of a statement.
const ROWS_AT_ONCE: u32 = 2_000;

/// Purges periodically.
pub(crate) async fn run(pool: PgPool) {
    loop {
        if let Err(error) = all(&pool).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "could not purge deleted tradings");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Purges every deleted trading that no other worker is purging. Returns how many were purged completely.
pub async fn all(pool: &PgPool) -> Result<u64> {
    let mut purged = 0;

    loop {
        let mut connection = pool.acquire().await?;
        let waiting = tradings::waiting_to_be_purged(&mut connection, TRADINGS_AT_ONCE).await?;
        drop(connection);
        let before = purged;
        for id in waiting {
            match one(pool, id).await {
                Ok(is_purged) => purged += u64::from(is_purged),
                // The tradings after it must not wait for it.
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, trading_id = %id, "could not purge a deleted trading");
                }
            }
        }
        if purged == before {
            return Ok(purged);
        }
    }
}

/// Purges a trading completely. Returns false when it is gone already, or another worker is purging it.
async fn one(pool: &PgPool, id: TradingId) -> Result<bool> {
    loop {
        let mut transaction = pool.begin().await?;
        let purged = tradings::purge_some(&mut transaction, id, ROWS_AT_ONCE).await?;
        transaction.commit().await?;
        match purged {
            Purged::Some => {}
            Purged::All => {
                tracing::info!(trading_id = %id, "purged a deleted trading");
                return Ok(true);
            }
            Purged::Nothing => return Ok(false),
        }
    }
}
