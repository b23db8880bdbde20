//! The latest heartbeat of each component of a bot, by the bot's own clock.

use crate::column::values;
use crate::error::Result;
use crate::lanes::columns::convert;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::types::Json;
use std::collections::BTreeMap;
use tiris_domain::ids::{TradingId, UserId, new_id};
use tiris_domain::states::BotStatus;

/// A heartbeat to store.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Id of its event; not stored.
    pub event_id: String,
    /// Owner of the bot.
    pub user: UserId,
    /// The trading the bot works on.
    pub trading: TradingId,
    /// Name of the component.
    pub component: String,
    /// Health as the component reports it.
    pub status: BotStatus,
    /// Time of the heartbeat, by the bot's clock.
    pub seen_at: DateTime<Utc>,
    /// Free JSON of measurements.
    pub metrics: Map<String, Value>,
    /// Free JSON.
    pub info: Map<String, Value>,
}

/// Maximum number of components of a user's bots over all tradings, so that arbitrary names cannot fill the table.
pub const COMPONENTS_PER_USER_MAX: i64 = 1_000;

/// Stores the heartbeats that are newer than the stored ones, per user, trading and component. Those of components beyond
/// [`COMPONENTS_PER_USER_MAX`] are counted and ignored.
pub async fn upsert_latest(connection: &mut PgConnection, heartbeats: &[&Heartbeat]) -> Result<()> {
    // A statement may change a row only once, so the batch is reduced first.
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
        "WITH latest AS (SELECT t.*, EXISTS (SELECT FROM bots b WHERE b.user_id = t.user_id \
             AND b.trading_id = t.trading_id AND b.component = t.component) AS known \
             FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::jsonb[], \
             $8::jsonb[]) AS t (id, user_id, trading_id, component, status, last_seen_at, metrics, info)), \
         new AS (SELECT id, row_number() OVER (PARTITION BY user_id ORDER BY id) \
             + (SELECT count(*) FROM bots b WHERE b.user_id = latest.user_id) AS place FROM latest WHERE NOT known), \
         beyond AS (SELECT id FROM new WHERE place > $9), \
         kept AS (INSERT INTO bots (id, user_id, trading_id, component, status, last_seen_at, metrics, info) \
         SELECT id, user_id, trading_id, component, status, last_seen_at, metrics, info FROM latest \
         WHERE id NOT IN (SELECT id FROM beyond) ORDER BY user_id, trading_id, component \
         ON CONFLICT (user_id, trading_id, component) DO UPDATE SET status = excluded.status, \
         last_seen_at = excluded.last_seen_at, metrics = excluded.metrics, info = excluded.info, \
         updated_at = clock_timestamp() WHERE bots.last_seen_at <= excluded.last_seen_at) \
         SELECT count(*) FROM beyond",
    )
    .bind(values(&rows, |_| new_id()))
    .bind(values(&rows, |row| row.user.0))
    .bind(values(&rows, |row| row.trading.0))
    .bind(values(&rows, |row| row.component.as_str()))
    .bind(values(&rows, |row| row.status.as_str()))
    .bind(values(&rows, |row| row.seen_at))
    .bind(values(&rows, |row| Json(&row.metrics)))
    .bind(values(&rows, |row| Json(&row.info)))
    .bind(COMPONENTS_PER_USER_MAX)
    .fetch_one(connection)
    .await?;

    if ignored > 0 {
        metrics::counter!("ingest_heartbeats_ignored_total").increment(convert(ignored)?);
        tracing::warn!(
            ignored,
            "ignored heartbeats, because their user has too many components"
        );
    }
    Ok(())
}
