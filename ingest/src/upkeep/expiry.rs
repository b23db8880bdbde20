//! Releases expired holds.
//!
//! Several workers may do it at once, each for another trading. The holds of a trading are released in a transaction of
//! their own, so that no trading waits for the failure of another.

use crate::connection::Connection;
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::time::Duration;
use tiris_domain::ids::TradingId;
use tiris_store::error::Result;
use tiris_store::ledger::{release_expired, tradings_with_expired_holds};
use uuid::Uuid;

/// How often the worker looks for expired holds.
const INTERVAL: Duration = Duration::from_secs(10);
/// Tradings read at once.
const TRADINGS_AT_ONCE: u32 = 100;
/// Holds released in one transaction, about a batch of a lane.
const HOLDS_AT_ONCE: u32 = 200;

/// Releases expired holds periodically, and wakes the live streams of their owners.
pub(crate) async fn run(pool: PgPool, connection: Connection) {
    loop {
        match all(&pool).await {
            Ok(users) => connection.wake_untraced(&users),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "could not release expired holds");
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Releases the holds that have expired, except those that another worker is releasing. Returns the owners.
pub async fn all(pool: &PgPool) -> Result<BTreeSet<Uuid>> {
    let mut owners = BTreeSet::new();

    loop {
        let mut connection = pool.acquire().await?;
        let tradings = tradings_with_expired_holds(&mut connection, TRADINGS_AT_ONCE).await?;
        drop(connection);

        let mut has_released = false;
        for trading in tradings {
            match one(pool, trading).await {
                Ok(Some(owner)) => {
                    has_released = true;
                    owners.insert(owner);
                }
                Ok(None) => {}
                // The tradings after it must not wait for it.
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, trading_id = %trading, "could not release the expired holds of a trading");
                }
            }
        }
        if !has_released {
            return Ok(owners);
        }
    }
}

/// Releases expired holds of a trading. Returns the owner if there were any.
async fn one(pool: &PgPool, trading: TradingId) -> Result<Option<Uuid>> {
    let mut transaction = pool.begin().await?;
    let released =
        release_expired(&mut transaction, trading, HOLDS_AT_ONCE, rand::random()).await?;
    transaction.commit().await?;

    let Some((owner, holds)) = released.filter(|(_, holds)| *holds > 0) else {
        return Ok(None);
    };
    tracing::info!(trading_id = %trading, user_id = %owner, holds, "released expired holds");
    Ok(Some(owner.0))
}
