//! Figures of the whole system: users, tradings, bots.
//!
//! Every worker counts, so that the figures are there whichever of them is scraped.

use crate::status::gauges::float;
use sqlx::PgPool;
use std::time::Duration;
use tiris_domain::states::{BotStatus, State, TradingStatus, TradingType, UserStatus};
use tiris_store::census::{self, BotCount, TradingCount};
use tiris_store::error::Result;
use tokio_util::sync::CancellationToken;

/// Counting reads whole tables, small as they are.
const INTERVAL: Duration = Duration::from_secs(60);

/// Counts until `stop`.
pub async fn run(pool: PgPool, stop: CancellationToken) {
    loop {
        let counted = tokio::select! {
            () = stop.cancelled() => return,
            counted = count(&pool) => counted,
        };
        if let Err(error) = counted {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "could not count users, tradings and bots"
            );
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

async fn count(pool: &PgPool) -> Result<()> {
    let mut connection = pool.acquire().await?;
    let users = census::users(&mut connection).await?;
    let tradings = census::tradings(&mut connection).await?;
    let bots = census::bots(&mut connection).await?;

    for status in UserStatus::ALL {
        let count = sum(&users, |row| (row.status == *status).then_some(row.count));
        metrics::gauge!("tiris_users", "status" => status.as_str()).set(count);
    }
    for kind in TradingType::ALL {
        for status in TradingStatus::ALL {
            let is_wanted = |row: &TradingCount| row.kind == *kind && row.status == *status;
            let count = sum(&tradings, |row| is_wanted(row).then_some(row.count));
            metrics::gauge!("tiris_tradings", "type" => kind.as_str(), "status" => status.as_str())
                .set(count);
        }
    }
    for status in BotStatus::ALL {
        let is_wanted = |row: &BotCount| row.status == *status && !row.is_silent;
        let count = sum(&bots, |row| is_wanted(row).then_some(row.count));
        metrics::gauge!("tiris_bots", "status" => status.as_str()).set(count);
    }
    let silent = sum(&bots, |row| row.is_silent.then_some(row.count));
    metrics::gauge!("tiris_bots", "status" => "silent").set(silent);
    Ok(())
}

fn sum<T>(rows: &[T], count: impl Fn(&T) -> Option<i64>) -> f64 {
    float(rows.iter().filter_map(count).sum::<i64>())
}
