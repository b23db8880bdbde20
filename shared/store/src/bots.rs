//! The latest heartbeat of each component of a bot, by the bot's own clock as far as the broker's supports it.

use crate::column::values;
use crate::error::Result;
use crate::lanes::columns::convert;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use sqlx::types::Json;
use std::collections::BTreeMap;
use std::time::Duration;
use tiris_domain::ids::{TradingId, UserId, new_id};
use tiris_domain::states::BotStatus;
use uuid::Uuid;

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
    /// Time at which the heartbeat counts: that of the bot's clock, or the broker's when the bot's clock is ahead.
    pub seen_at: DateTime<Utc>,
    /// Whether the bot's clock was further ahead than [`CLOCK_AHEAD_MAX`], so that any later heartbeat is newer.
    pub is_clock_ahead: bool,
    /// Free JSON of measurements.
    pub metrics: Map<String, Value>,
    /// Free JSON.
    pub info: Map<String, Value>,
}

/// Maximum time by which a heartbeat may be ahead of the broker's; beyond it, the broker's time counts.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(60);
/// Maximum number of components of a user's bots over all tradings, so that arbitrary names cannot fill the table.
pub const COMPONENTS_PER_USER_MAX: i64 = 1_000;

impl Heartbeat {
    /// Lets the heartbeat count at the broker's time when its own is more than [`CLOCK_AHEAD_MAX`] later, and keeps its own
    /// in `info.raw`: a clock that was wrong once must not hide all later heartbeats.
    pub(crate) fn limited_by(mut self, broker_time: Option<DateTime<Utc>>) -> Self {
        let is_ahead = |time: &DateTime<Utc>| self.seen_at > *time + CLOCK_AHEAD_MAX;
        let Some(broker_time) = broker_time.filter(is_ahead) else {
            return self;
        };

        let given = self.seen_at.to_rfc3339_opts(SecondsFormat::Nanos, true);
        // No other field of a heartbeat is kept there.
        self.info
            .insert("raw".to_owned(), json!({"timestamp": given}));
        self.seen_at = broker_time;
        self.is_clock_ahead = true;
        self
    }

    /// Returns whether the heartbeat replaces an earlier one of its component.
    fn replaces(&self, earlier: &Self) -> bool {
        self.seen_at >= earlier.seen_at || earlier.is_clock_ahead
    }
}

/// The latest heartbeats of a batch by user, trading and component: a statement may change a row only once.
fn latest_of<'a>(heartbeats: &[&'a Heartbeat]) -> Vec<&'a Heartbeat> {
    let mut latest: BTreeMap<(UserId, TradingId, &str), &Heartbeat> = BTreeMap::new();

    for heartbeat in heartbeats {
        let kept = latest
            .entry((heartbeat.user, heartbeat.trading, &heartbeat.component))
            .or_insert(heartbeat);
        if heartbeat.replaces(kept) {
            *kept = heartbeat;
        }
    }

    latest.into_values().collect()
}

/// A component beyond [`COMPONENTS_PER_USER_MAX`].
#[derive(sqlx::FromRow)]
struct Ignored {
    user_id: Uuid,
    trading_id: Uuid,
    component: String,
}

/// Stores the heartbeats that are newer than the stored ones, per user, trading and component. Those of components beyond
/// [`COMPONENTS_PER_USER_MAX`] are counted and ignored.
pub async fn upsert_latest(connection: &mut PgConnection, heartbeats: &[&Heartbeat]) -> Result<()> {
    let rows = latest_of(heartbeats);
    if rows.is_empty() {
        return Ok(());
    }

    // A stored heartbeat of a clock that was ahead must not hide later ones; earlier versions stored its time unchanged.
    let ignored: Vec<Ignored> = sqlx::query_as(
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
         updated_at = clock_timestamp() WHERE bots.last_seen_at <= excluded.last_seen_at \
         OR bots.info #> '{raw,timestamp}' IS NOT NULL OR bots.last_seen_at > clock_timestamp() + $10) \
         SELECT user_id, trading_id, component FROM latest WHERE id IN (SELECT id FROM beyond) ORDER BY user_id, id",
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
    .bind(CLOCK_AHEAD_MAX)
    .fetch_all(connection)
    .await?;

    report(&ignored)
}

/// Counts ignored components, and logs the first one of each user.
fn report(ignored: &[Ignored]) -> Result<()> {
    for of_user in ignored.chunk_by(|a, b| a.user_id == b.user_id) {
        let [first, ..] = of_user else { continue };
        let count = of_user.len();

        metrics::counter!("ingest_heartbeats_ignored_total").increment(convert(count)?);
        tracing::warn!(
            user_id = %first.user_id,
            trading_id = %first.trading_id,
            component = first.component,
            ignored = count,
            "ignored heartbeats, because their user has too many components"
        );
    }

    Ok(())
}
