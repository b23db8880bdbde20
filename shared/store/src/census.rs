//! Counts of users, tradings and bots, for the metrics of the whole system. Rows with a status that only a newer version
//! knows are not counted.

use crate::error::Result;
use sqlx::PgConnection;
use tiris_domain::states::{BotStatus, State, TradingStatus, TradingType, UserStatus};

/// The number of users with a status.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct UserCount {
    /// The status of the counted users.
    #[sqlx(try_from = "String")]
    pub status: UserStatus,
    /// Number of rows.
    pub count: i64,
}

/// The number of tradings with a type and status.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct TradingCount {
    /// The type of the counted tradings.
    #[sqlx(try_from = "String")]
    pub kind: TradingType,
    /// The status of the counted tradings.
    #[sqlx(try_from = "String")]
    pub status: TradingStatus,
    /// Number of rows.
    pub count: i64,
}

/// The number of components of bots with a status.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct BotCount {
    /// The status in the last heartbeats.
    #[sqlx(try_from = "String")]
    pub status: BotStatus,
    /// Whether the last heartbeats are older than five minutes.
    pub is_silent: bool,
    /// Number of rows.
    pub count: i64,
}

/// Counts users by status.
pub async fn users(connection: &mut PgConnection) -> Result<Vec<UserCount>> {
    let counts = sqlx::query_as(
        "SELECT status, count(*) AS count FROM users WHERE status = ANY($1) GROUP BY status",
    )
    .bind(UserStatus::NAMES);
    Ok(counts.fetch_all(connection).await?)
}

/// Counts tradings by type and status.
pub async fn tradings(connection: &mut PgConnection) -> Result<Vec<TradingCount>> {
    let counts = sqlx::query_as(
        "SELECT type AS kind, status, count(*) AS count FROM tradings \
         WHERE type = ANY($1) AND status = ANY($2) GROUP BY type, status",
    )
    .bind(TradingType::NAMES)
    .bind(TradingStatus::NAMES);
    Ok(counts.fetch_all(connection).await?)
}

/// Counts components of bots by status, separately those without a heartbeat in the last five minutes.
pub async fn bots(connection: &mut PgConnection) -> Result<Vec<BotCount>> {
    let counts = sqlx::query_as(
        "SELECT status, last_seen_at < clock_timestamp() - interval '5 minutes' AS is_silent, count(*) AS count \
         FROM bots WHERE status = ANY($1) GROUP BY 1, 2",
    )
    .bind(BotStatus::NAMES);
    Ok(counts.fetch_all(connection).await?)
}
