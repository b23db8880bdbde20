//! Sessions of users. Only hashes of tokens are stored.

use crate::audit::stored_agent;
use crate::error::Result;
use sqlx::{PgConnection, PgExecutor};
use tiris_domain::ids::{UserId, new_id};
use tiris_domain::states::{Role, UserStatus};
use uuid::Uuid;

/// Lifetime of a session in days.
const SESSION_DAYS: i32 = 30;
/// Seconds after which the use of a session is stored again. Together with the seconds for which processes cache a session,
/// the stored time is at most a minute old.
const USE_STORED_EACH_SECS: i32 = 45;
/// Seconds for which a replaced refresh token still returns its successor: two tabs may use it at the same time, or a
/// response may get lost.
const ROTATION_GRACE_SECS: i32 = 10;

/// How a session renews its access tokens.
#[derive(Clone, Copy, Debug)]
pub enum Renewal<'a> {
    /// It cannot.
    Never,
    /// By a refresh token with this hash, which stays the same.
    Fixed(&'a [u8]),
    /// By refresh tokens that are each used once; the first has generation 0.
    Rotating,
}

/// A session to begin.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// The signed-in user.
    pub user: UserId,
    /// How it renews its access tokens.
    pub renewal: Renewal<'a>,
    /// User agent that the client reports.
    pub agent: Option<&'a str>,
    /// Address of the client.
    pub ip: Option<&'a str>,
}

/// Begins a session.
pub async fn begin(connection: &mut PgConnection, new: NewSession<'_>) -> Result<Uuid> {
    let id = new_id();
    let (hash, generation) = match new.renewal {
        Renewal::Never => (None, None),
        Renewal::Fixed(hash) => (Some(hash), None),
        Renewal::Rotating => (None, Some(0_i32)),
    };

    sqlx::query(
        "INSERT INTO sessions (id, user_id, refresh_token_hash, refresh_generation, user_agent, ip, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(days => $7))",
    )
    .bind(id)
    .bind(new.user.0)
    .bind(hash)
    .bind(generation)
    .bind(new.agent.map(stored_agent))
    .bind(new.ip)
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
    /// Whether its last use is to be stored.
    pub is_use_outdated: bool,
}

/// The columns of a [`SessionState`]; `$1` is [`USE_STORED_EACH_SECS`].
macro_rules! state {
    () => {
        "s.id, s.user_id, u.role, u.status, s.revoked_at IS NULL AND s.expires_at > now() AS alive, \
         coalesce(s.last_used_at < now() - make_interval(secs => $1), true) AS is_use_outdated"
    };
}

/// Returns a session of a user.
pub async fn find(
    executor: impl PgExecutor<'_>,
    user: UserId,
    id: Uuid,
) -> Result<Option<SessionState>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        state!(),
        " FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $2 AND s.user_id = $3"
    ))
    .bind(USE_STORED_EACH_SECS)
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
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        state!(),
        " FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.refresh_token_hash = $2"
    ))
    .bind(USE_STORED_EACH_SECS)
    .bind(hash)
    .fetch_optional(connection)
    .await?)
}

/// Stores that a session was used now.
pub async fn touch(executor: impl PgExecutor<'_>, id: Uuid) -> Result<()> {
    sqlx::query(
        "UPDATE sessions SET last_used_at = now() WHERE id = $1 \
         AND coalesce(last_used_at < now() - make_interval(secs => $2), true)",
    )
    .bind(id)
    .bind(USE_STORED_EACH_SECS)
    .execute(executor)
    .await?;
    Ok(())
}

/// A locked session whose refresh tokens rotate.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct RotatingSession {
    /// The session.
    #[sqlx(flatten)]
    pub state: SessionState,
    /// Number of the current refresh token.
    pub generation: i32,
    /// Whether the current refresh token replaced the one before it a moment ago.
    pub has_just_rotated: bool,
}

/// Locks a session whose refresh tokens rotate until the transaction ends.
pub async fn lock_rotating(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Option<RotatingSession>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        state!(),
        ", s.refresh_generation AS generation, \
           coalesce(s.rotated_at > clock_timestamp() - make_interval(secs => $3), false) AS has_just_rotated \
         FROM sessions s JOIN users u ON u.id = s.user_id \
         WHERE s.id = $2 AND s.refresh_generation IS NOT NULL FOR NO KEY UPDATE OF s"
    ))
    .bind(USE_STORED_EACH_SECS)
    .bind(id)
    .bind(ROTATION_GRACE_SECS)
    .fetch_optional(connection)
    .await?)
}

/// Replaces the refresh token of a locked session, and returns the number of the new one.
pub async fn rotate(connection: &mut PgConnection, id: Uuid) -> Result<i32> {
    Ok(sqlx::query_scalar(
        "UPDATE sessions SET refresh_generation = refresh_generation + 1, rotated_at = clock_timestamp(), \
         last_used_at = now(), updated_at = now() WHERE id = $1 RETURNING refresh_generation",
    )
    .bind(id)
    .fetch_one(connection)
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

/// Revokes an active session of a user, or of any user without one. Returns false when there is none.
pub async fn revoke_active(
    connection: &mut PgConnection,
    id: Uuid,
    owner: Option<UserId>,
) -> Result<bool> {
    let revoked = sqlx::query(
        "UPDATE sessions SET revoked_at = now(), updated_at = now() WHERE id = $1 \
         AND ($2::uuid IS NULL OR user_id = $2) AND revoked_at IS NULL AND expires_at > now()",
    )
    .bind(id)
    .bind(owner.map(|user| user.0))
    .execute(connection)
    .await?;
    Ok(revoked.rows_affected() == 1)
}

/// Revokes all sessions of a user except for `kept`. Returns their ids.
pub async fn revoke_all(
    connection: &mut PgConnection,
    user: UserId,
    kept: Option<Uuid>,
) -> Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar(
        "UPDATE sessions SET revoked_at = now(), updated_at = now() \
         WHERE user_id = $1 AND id IS DISTINCT FROM $2 AND revoked_at IS NULL RETURNING id",
    )
    .bind(user.0)
    .bind(kept)
    .fetch_all(connection)
    .await?)
}
