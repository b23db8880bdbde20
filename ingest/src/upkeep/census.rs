//! Metrics of the whole system: users, tradings, bots.
//!
//! Every worker counts, so that each reports the metrics, whichever is scraped.

use crate::status::gauges::float;
use sqlx::PgPool;
use std::time::Duration;
use tiris_domain::states::{BotStatus, State, TradingStatus, TradingType, UserStatus};
use tiris_store::census::{self, BotCount, TradingCount};
use tiris_store::error::Result;

/// Counting reads whole tables, although small ones.
const INTERVAL: Duration = Duration::from_secs(60);

/// Counts periodically.
pub(crate) async fn run(pool: PgPool) {
    loop {
        if let Err(error) = count(&pool).await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "could not count users, tradings and bots");
        }
        tokio::time::sleep(INTERVAL).await;
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
