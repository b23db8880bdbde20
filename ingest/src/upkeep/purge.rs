//! Goes on with the purge of deleted tradings where a request, or a process that died, left it.
//!
//! Owns: the rhythm. Must not know: what a trading holds, or who deleted it. Many workers may be at it at once; each takes
//! another trading. It can be cut off anywhere: a piece is a transaction.

use sqlx::PgPool;
use std::time::Duration;
use tiris_domain::ids::TradingId;
use tiris_store::error::Result;
use tiris_store::tradings::{self, Purged};
use tokio_util::sync::CancellationToken;

/// How often the worker looks for tradings to purge.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Tradings looked for at once.
const TRADINGS_AT_ONCE: u32 = 100;
/// Rows of each kind that one transaction removes: well within the time a statement may take.
const ROWS_AT_ONCE: u32 = 2_000;

/// Works until `stop`.
pub async fn run(pool: PgPool, stop: CancellationToken) {
    loop {
        let work = async {
            if let Err(error) = all(&pool).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "could not purge deleted tradings"
                );
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = work => {}
        }
    }
}

/// Purges every trading that waits for it and that no other worker is at. Returns how many are gone.
pub async fn all(pool: &PgPool) -> Result<u64> {
    let mut gone = 0;

    loop {
        let mut connection = pool.acquire().await?;
        let waiting = tradings::waiting_to_be_purged(&mut connection, TRADINGS_AT_ONCE).await?;
        drop(connection);
        let before = gone;
        for id in waiting {
            match one(pool, id).await {
                Ok(true) => gone += 1,
                Ok(false) => {}
                // The others behind it must not wait for it.
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, trading_id = %id, "could not purge a deleted trading");
                }
            }
        }
        if gone == before {
            return Ok(gone);
        }
    }
}

/// Purges one to its end; false when it is gone already or another worker is at it.
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
