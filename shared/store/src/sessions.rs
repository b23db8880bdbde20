//! Sessions of users. Only hashes of tokens are stored.

use crate::audit::stored_agent;
use crate::error::Result;
use sqlx::{PgConnection, PgExecutor};
use tiris_domain::ids::{UserId, new_id};
use tiris_domain::states::{Role, UserStatus};
use uuid::Uuid;

/// Lifetime of a session in days.
const SESSION_DAYS: i32 = 30;

/// Begins a session; `refresh` is the hash of its refresh token, if it has one.
pub async fn begin(
    connection: &mut PgConnection,
    user: UserId,
    refresh: Option<&[u8]>,
    agent: Option<&str>,
) -> Result<Uuid> {
    let id = new_id();

    sqlx::query(
        "INSERT INTO sessions (id, user_id, refresh_token_hash, user_agent, expires_at) \
         VALUES ($1, $2, $3, $4, now() + make_interval(days => $5))",
    )
    .bind(id)
    .bind(user.0)
    .bind(refresh)
    .bind(agent.map(stored_agent))
    .bind(SESSION_DAYS)
    .execute(connection)
    .await?;

    Ok(id)
}

/// A session with the state of its user.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct SessionState {
    /// Id of the session.
    pub id: Uuid,
    /// The signed-in user.
    #[sqlx(try_from = "Uuid")]
    pub user_id: UserId,
    /// Role of the user.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// Status of the user.
    #[sqlx(try_from = "String")]
    pub status: UserStatus,
    /// Whether the session can be used: not revoked, not expired.
    pub alive: bool,
}

/// Returns a session of a user.
pub async fn find(
    executor: impl PgExecutor<'_>,
    user: UserId,
    id: Uuid,
) -> Result<Option<SessionState>> {
    Ok(sqlx::query_as(
        "SELECT s.id, s.user_id, u.role, u.status, s.revoked_at IS NULL AND s.expires_at > now() AS alive \
         FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1 AND s.user_id = $2",
    )
    .bind(id)
    .bind(user.0)
    .fetch_optional(executor)
    .await?)
}

/// Returns the session whose refresh token has this hash.
pub async fn of_refresh_token(
    connection: &mut PgConnection,
    hash: &[u8],
) -> Result<Option<SessionState>> {
    Ok(sqlx::query_as(
        "SELECT s.id, s.user_id, u.role, u.status, s.revoked_at IS NULL AND s.expires_at > now() AS alive \
         FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.refresh_token_hash = $1",
    )
    .bind(hash)
    .fetch_optional(connection)
    .await?)
}

/// Revokes a session. Returns false when it was revoked before.
pub async fn revoke(connection: &mut PgConnection, id: Uuid) -> Result<bool> {
    let revoked = sqlx::query(
        "UPDATE sessions SET revoked_at = now(), updated_at = now() WHERE id = $1 AND revoked_at IS NULL",
    )
    .bind(id)
    .execute(connection)
    .await?;
    Ok(revoked.rows_affected() == 1)
}

/// Revokes all sessions of a user. Returns their ids.
pub async fn revoke_all(connection: &mut PgConnection, user: UserId) -> Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar(
        "UPDATE sessions SET revoked_at = now(), updated_at = now() \
         WHERE user_id = $1 AND revoked_at IS NULL RETURNING id",
    )
    .bind(user.0)
    .fetch_all(connection)
    .await?)
}
