//! Sign-ins: begun, looked up by their refresh token, ended.
//!
//! Owns: the rows of `sessions`. Must not know: tokens, of which only hashes come here.

use crate::error::Result;
use sqlx::{PgConnection, PgExecutor};
use tiris_domain::ids::{UserId, new_id};
use tiris_domain::states::{Role, UserStatus};
use uuid::Uuid;

/// Days a session lives.
pub const SESSION_DAYS: i32 = 30;
/// Longest user agent that is kept, in characters.
const AGENT_CHARS_MAX: usize = 256;

/// Begins a session; `refresh` is the hash of the token that renews it, none when nothing does.
pub async fn begin(
    connection: &mut PgConnection,
    user: UserId,
    refresh: Option<&[u8]>,
    agent: Option<&str>,
) -> Result<Uuid> {
    let id = new_id();
    let agent: Option<String> = agent.map(|agent| agent.chars().take(AGENT_CHARS_MAX).collect());

    sqlx::query(
        "INSERT INTO sessions (id, user_id, refresh_token_hash, user_agent, expires_at) \
         VALUES ($1, $2, $3, $4, now() + make_interval(days => $5))",
    )
    .bind(id)
    .bind(user.0)
    .bind(refresh)
    .bind(agent)
    .bind(SESSION_DAYS)
    .execute(connection)
    .await?;
    Ok(id)
}

/// A session as its access token finds it.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct SessionState {
    /// Role of its user.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// Status of its user.
    #[sqlx(try_from = "String")]
    pub status: UserStatus,
    /// Whether the session has neither ended nor expired.
    pub alive: bool,
}

/// The session of a user.
pub async fn find(
    executor: impl PgExecutor<'_>,
    user: UserId,
    id: Uuid,
) -> Result<Option<SessionState>> {
    let found = sqlx::query_as(
        "SELECT u.role, u.status, s.revoked_at IS NULL AND s.expires_at > now() AS alive \
         FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1 AND s.user_id = $2",
    )
    .bind(id)
    .bind(user.0)
    .fetch_optional(executor)
    .await?;
    Ok(found)
}

/// A session as its refresh token finds it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Renewable {
    /// The session.
    pub id: Uuid,
    /// Whose it is.
    #[sqlx(try_from = "Uuid")]
    pub user_id: UserId,
    /// Status of that user.
    #[sqlx(try_from = "String")]
    pub status: UserStatus,
    /// Whether the session has neither ended nor expired.
    pub alive: bool,
}

/// The session whose refresh token has this hash.
pub async fn of_refresh_token(
    connection: &mut PgConnection,
    hash: &[u8],
) -> Result<Option<Renewable>> {
    let found = sqlx::query_as(
        "SELECT s.id, s.user_id, u.status, s.revoked_at IS NULL AND s.expires_at > now() AS alive \
         FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.refresh_token_hash = $1",
    )
    .bind(hash)
    .fetch_optional(connection)
    .await?;
    Ok(found)
}

/// Ends a session; false when it had ended before.
pub async fn revoke(connection: &mut PgConnection, id: Uuid) -> Result<bool> {
    let ended = sqlx::query(
        "UPDATE sessions SET revoked_at = now(), updated_at = now() WHERE id = $1 AND revoked_at IS NULL",
    )
    .bind(id)
    .execute(connection)
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// Ends all sessions of a user and answers which.
pub async fn revoke_all(connection: &mut PgConnection, user: UserId) -> Result<Vec<Uuid>> {
    let ended = sqlx::query_scalar(
        "UPDATE sessions SET revoked_at = now(), updated_at = now() \
         WHERE user_id = $1 AND revoked_at IS NULL RETURNING id",
    )
    .bind(user.0)
    .fetch_all(connection)
    .await?;
    Ok(ended)
}
