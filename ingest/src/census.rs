//! Figures of the whole system: users, tradings, bots.
//!
//! Owns: the rhythm, and the metrics. Must not know: lanes. Every worker counts, so that the figures are there whichever of
//! them is asked.

use sqlx::PgPool;
use std::time::Duration;
use tiris_store::census;
use tiris_store::error::Result;
use tokio_util::sync::CancellationToken;

/// Counting reads whole tables, small as they are.
const INTERVAL: Duration = Duration::from_secs(60);
const USERS: [&str; 3] = ["active", "disabled", "deleted"];
const TRADING_TYPES: [&str; 3] = ["real", "paper", "backtest"];
const TRADINGS: [&str; 4] = ["active", "paused", "deleting", "deleted"];
const BOTS: [&str; 4] = ["healthy", "degraded", "unhealthy", "silent"];

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
    for status in USERS {
        metrics::gauge!("tiris_users", "status" => status).set(of(&users, status));
    }
    let tradings = census::tradings(&mut connection).await?;
    for kind in TRADING_TYPES {
        let of_kind: Vec<(String, i64)> = tradings
            .iter()
            .filter(|(k, _, _)| k == kind)
            .map(|(_, status, n)| (status.clone(), *n))
            .collect();
        for status in TRADINGS {
            metrics::gauge!("tiris_tradings", "type" => kind, "status" => status)
                .set(of(&of_kind, status));
        }
    }
    let bots = census::bots(&mut connection).await?;
    for status in BOTS {
        metrics::gauge!("tiris_bots", "status" => status).set(of(&bots, status));
    }
    Ok(())
}

/// What is not there is none, not an old figure.
fn of(counts: &[(String, i64)], name: &str) -> f64 {
    let count = counts
        .iter()
        .find(|(found, _)| found == name)
        .map_or(0, |(_, count)| *count);
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
