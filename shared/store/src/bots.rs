//! The latest heartbeat of each component of a bot; the last one by the bot's own time wins.

use crate::error::Result;
use crate::lanes::columns::convert;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use tiris_domain::ids::{TradingId, UserId};
use tiris_domain::states::BotStatus;

/// A heartbeat to keep.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Id of its event, which the row does not keep.
    pub event_id: String,
    /// Whose bot.
    pub user: UserId,
    /// Which trading.
    pub trading: TradingId,
    /// Which part of the bot.
    pub component: String,
    /// How the component says it is.
    pub status: BotStatus,
    /// When, by the bot.
    pub seen_at: DateTime<Utc>,
    /// Whatever it measures.
    pub metrics: Map<String, Value>,
    /// What the row keeps besides.
    pub info: Map<String, Value>,
}

/// Components of one user's bots at most, in all tradings: invented names fill no table.
pub const COMPONENTS_PER_USER_MAX: i64 = 1_000;

/// Keeps the newest of `heartbeats` and of what is stored, per user, trading and component. A component beyond
/// [`COMPONENTS_PER_USER_MAX`] is counted and ignored.
pub async fn keep_latest(connection: &mut PgConnection, heartbeats: &[&Heartbeat]) -> Result<()> {
    // One statement may touch a row only once, so the batch is reduced first.
    let mut latest: BTreeMap<(UserId, TradingId, &str), &Heartbeat> = BTreeMap::new();
    for heartbeat in heartbeats {
        let kept = latest
            .entry((heartbeat.user, heartbeat.trading, &heartbeat.component))
            .or_insert(heartbeat);
        if heartbeat.seen_at >= kept.seen_at {
            *kept = heartbeat;
        }
    }
    if latest.is_empty() {
        return Ok(());
    }

    let rows: Vec<&Heartbeat> = latest.into_values().collect();
    let ignored: i64 = sqlx::query_scalar(
        "WITH beats AS (SELECT t.id, t.user_id, t.trading_id, t.component, t.status, t.last_seen_at, t.metrics, t.info, \
             EXISTS (SELECT FROM bots b WHERE b.user_id = t.user_id \
             AND b.trading_id = t.trading_id AND b.component = t.component) AS known \
             FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::jsonb[], \
             $8::jsonb[]) AS t (id, user_id, trading_id, component, status, last_seen_at, metrics, info)), \
         new AS (SELECT id, row_number() OVER (PARTITION BY user_id ORDER BY id) \
             + (SELECT count(*) FROM bots b WHERE b.user_id = beats.user_id) AS place FROM beats WHERE NOT known), \
         beyond AS (SELECT id FROM new WHERE place > $9), \
         kept AS (INSERT INTO bots (id, user_id, trading_id, component, status, last_seen_at, metrics, info) \
         SELECT id, user_id, trading_id, component, status, last_seen_at, metrics, info FROM beats \
         WHERE id NOT IN (SELECT id FROM beyond) ORDER BY user_id, trading_id, component \
         ON CONFLICT (user_id, trading_id, component) DO UPDATE SET status = excluded.status, \
         last_seen_at = excluded.last_seen_at, metrics = excluded.metrics, info = excluded.info, \
         updated_at = clock_timestamp() WHERE bots.last_seen_at <= excluded.last_seen_at) \
         SELECT count(*) FROM beyond",
    )
    .bind(rows.iter().map(|_| tiris_domain::ids::new_id()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.user.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.trading.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.component.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.status.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.seen_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| Value::Object(row.metrics.clone())).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| Value::Object(row.info.clone())).collect::<Vec<_>>())
    .bind(COMPONENTS_PER_USER_MAX)
    .fetch_one(connection)
    .await?;

    if ignored > 0 {
        metrics::counter!("ingest_heartbeats_ignored_total").increment(convert(ignored)?);
        tracing::warn!(
            ignored,
            "heartbeats of more components than a user may have are ignored"
        );
    }
    Ok(())
}
