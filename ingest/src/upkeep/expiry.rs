//! Releases expired holds.
//!
//! Several workers may do it at once, each for another trading. The holds of a trading are released in transactions of
//! their own, and each trading has its turn once a round, so that no trading waits for another.

use crate::connection::Connection;
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::time::Duration;
use tiris_domain::ids::{TradingId, UserId};
use tiris_store::error::Result;
use tiris_store::ledger::{Expired, release_expired, tradings_with_expired_holds};

/// Wait between two rounds.
const INTERVAL: Duration = Duration::from_secs(10);
/// Tradings read at once.
const TRADINGS_AT_ONCE: u32 = 100;
/// Holds released in one transaction, about a batch of a lane.
const HOLDS_AT_ONCE: u32 = 200;
/// Transactions of one trading in a round.
const TURN_MAX: u32 = 10;

/// Releases expired holds periodically, and wakes the live streams of their owners.
pub(crate) async fn run(pool: PgPool, connection: Connection) {
    let wake = |owner: UserId| connection.wake_untraced(&BTreeSet::from([owner.0]));

    loop {
        if let Err(error) = all(&pool, wake).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "could not release expired holds");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Does a round: releases the holds that have expired, except those that another worker is releasing. Calls `released`
/// with the owner after each commit. Returns the number of holds.
pub async fn all(pool: &PgPool, released: impl Fn(UserId)) -> Result<usize> {
    let mut holds = 0;
    let mut after = None;

    loop {
        let mut connection = pool.acquire().await?;
        let tradings =
            tradings_with_expired_holds(&mut connection, after, TRADINGS_AT_ONCE).await?;
        drop(connection);
        let Some(last) = tradings.last() else {
            return Ok(holds);
        };
        after = Some(*last);

        for trading in tradings {
            match turn(pool, trading, &released).await {
                Ok(of_trading) => holds += of_trading,
                // The tradings after it must not wait for it.
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, trading_id = %trading, "could not release the expired holds of a trading");
                }
            }
        }
    }
}

/// Releases expired holds of a trading, [`HOLDS_AT_ONCE`] in a transaction. Returns how many.
async fn turn(pool: &PgPool, trading: TradingId, released: impl Fn(UserId)) -> Result<usize> {
    let mut total = 0;
    let mut owner = None;

    for _ in 0..TURN_MAX {
        let mut transaction = pool.begin().await?;
        let expired =
            release_expired(&mut transaction, trading, HOLDS_AT_ONCE, rand::random()).await?;
        transaction.commit().await?;

        let Some(Expired { user, holds }) = expired.filter(|expired| expired.holds > 0) else {
            break;
        };
        released(user);
        owner = Some(user);
        total += holds;
    }
    if let Some(owner) = owner {
        tracing::info!(user_id = %owner, trading_id = %trading, holds = total, "released expired holds");
    }
    Ok(total)
}
