//! How many users, tradings and bots there are, for the metrics of the whole system. Rows in a state that only a newer
//! version knows are not counted.

use crate::error::Result;
use sqlx::PgConnection;
use tiris_domain::states::{BotStatus, State, TradingStatus, TradingType, UserStatus};

/// Users of one status.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct UserCount {
    /// Their status.
    #[sqlx(try_from = "String")]
    pub status: UserStatus,
    /// How many there are.
    pub count: i64,
}

/// Tradings of one type and status.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct TradingCount {
    /// Their type.
    #[sqlx(try_from = "String")]
    pub kind: TradingType,
    /// Their status.
    #[sqlx(try_from = "String")]
    pub status: TradingStatus,
    /// How many there are.
    pub count: i64,
}

/// Components of bots with one status.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct BotCount {
    /// What their last heartbeats say.
    #[sqlx(try_from = "String")]
    pub status: BotStatus,
    /// Whether their last heartbeats are older than five minutes.
    pub is_silent: bool,
    /// How many there are.
    pub count: i64,
}

/// Users by status.
pub async fn users(connection: &mut PgConnection) -> Result<Vec<UserCount>> {
    let counts = sqlx::query_as(
        "SELECT status, count(*) AS count FROM users WHERE status = ANY($1) GROUP BY status",
    )
    .bind(UserStatus::NAMES);
    Ok(counts.fetch_all(connection).await?)
}

/// Tradings by type and status.
pub async fn tradings(connection: &mut PgConnection) -> Result<Vec<TradingCount>> {
    let counts = sqlx::query_as(
        "SELECT type AS kind, status, count(*) AS count FROM tradings \
         WHERE type = ANY($1) AND status = ANY($2) GROUP BY type, status",
    )
    .bind(TradingType::NAMES)
    .bind(TradingStatus::NAMES);
    Ok(counts.fetch_all(connection).await?)
}

/// Components of bots by status, those without a heartbeat in the last five minutes apart.
pub async fn bots(connection: &mut PgConnection) -> Result<Vec<BotCount>> {
    let counts = sqlx::query_as(
        "SELECT status, last_seen_at < clock_timestamp() - interval '5 minutes' AS is_silent, count(*) AS count \
         FROM bots WHERE status = ANY($1) GROUP BY 1, 2",
    )
    .bind(BotStatus::NAMES);
    Ok(counts.fetch_all(connection).await?)
}
