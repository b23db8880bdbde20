//! Users: rows and their changes.

use crate::by_id;
use crate::column;
use crate::entity::users::Model;
use crate::error::{Conflict, Error, Result};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use tiris_domain::ids::{UserId, new_id};
use tiris_domain::states::{Role, State, UserStatus};
use tiris_domain::value::{Avatar, FullName, Info, Username};
use uuid::Uuid;

/// Longest username that is derived from another name, in characters.
const DERIVED_USERNAME_CHARS_MAX: usize = 64;

/// A user to insert.
#[derive(Clone, Copy, Debug)]
pub struct NewUser<'a> {
    /// The username if it is free; otherwise the prefix of the username.
    pub wanted: &'a str,
    /// Full name.
    pub full_name: &'a str,
    /// Verified e-mail address.
    pub email: Option<&'a str>,
    /// URL of a picture.
    pub avatar: Option<&'a str>,
    /// Role of the user.
    pub role: Role,
}

/// Inserts a user, and returns the id.
///
/// # Errors
/// [`Conflict::Email`] when another user has the address.
pub async fn insert(connection: &mut PgConnection, new: &NewUser<'_>) -> Result<UserId> {
    let id = UserId(new_id());
    for username in usernames(new.wanted, id) {
        let inserted = sqlx::query(
            "INSERT INTO users (id, username, full_name, email, email_verified_at, avatar, role, username_shared, email_shared) \
             VALUES ($1, $2, $3, normalize($4, NFC), CASE WHEN $4::text IS NOT NULL THEN now() END, $5, $6, false, false) \
             ON CONFLICT (folded_name(username)) WHERE status <> 'deleted' AND NOT username_shared DO NOTHING",
        )
        .bind(id.0)
        .bind(username)
        .bind(FullName::cleaned(new.full_name))
        .bind(new.email)
        .bind(new.avatar)
        .bind(new.role.as_str())
        .execute(&mut *connection)
        .await?;

        if inserted.rows_affected() == 1 {
            return Ok(id);
        }
    }
    Err(Error::Conflict(Conflict::Username))
}

/// Returns candidates for the username, best first: the wanted one, then with a part of the id, then with the whole id, which
/// no other user can have.
fn usernames(wanted: &str, id: UserId) -> [String; 3] {
    let wanted = match Username::cleaned(wanted, DERIVED_USERNAME_CHARS_MAX) {
        empty if empty.is_empty() => "user".to_owned(),
        wanted => wanted,
    };
    let id = id.0.simple().to_string();
    let short = format!("{wanted}-{}", &id[24..]);
    let long = format!("{wanted}-{id}");
    [wanted, short, long]
}

macro_rules! columns {
    () => {
        "id, username, full_name, email, email_verified_at, avatar, role, status, settings, info, username_shared, email_shared, created_at, updated_at"
    };
}
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM users ", $rest)
    };
}

/// Returns a user of any status.
///
/// # Errors
/// [`Error::NotFound`] when the user does not exist.
pub async fn get(executor: impl PgExecutor<'_>, id: UserId) -> Result<Model> {
    let query = select!("WHERE id = $1");
    sqlx::query_as(query)
        .bind(id.0)
        .fetch_optional(executor)
        .await?
        .ok_or(Error::NotFound("user"))
}

/// Locks a user until the transaction ends; `None` when the user does not exist or is deleted.
pub async fn lock(connection: &mut PgConnection, id: UserId) -> Result<Option<Model>> {
    Ok(sqlx::query_as(select!(
        "WHERE id = $1 AND status <> 'deleted' FOR NO KEY UPDATE"
    ))
    .bind(id.0)
    .fetch_optional(connection)
    .await?)
}

/// A locked user.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct LockedUser {
    /// Id of the user.
    #[sqlx(try_from = "Uuid")]
    pub id: UserId,
    /// Never [`UserStatus::Deleted`].
    #[sqlx(try_from = "String")]
    pub status: UserStatus,
}

/// Locks the user with an e-mail address until the transaction ends, unless deleted. Case and Unicode form do not count.
pub async fn lock_by_email(
    connection: &mut PgConnection,
    email: &str,
) -> Result<Option<LockedUser>> {
    Ok(sqlx::query_as(
        "SELECT id, status FROM users WHERE folded_name(email) = folded_name($1) AND status <> 'deleted' \
         AND NOT email_shared FOR NO KEY UPDATE",
    )
    .bind(email)
    .fetch_optional(connection)
    .await?)
}

/// Sets the status, and returns the user.
pub async fn set_status(
    connection: &mut PgConnection,
    id: UserId,
    status: UserStatus,
) -> Result<Model> {
    Ok(sqlx::query_as(concat!(
        "UPDATE users SET status = $2, updated_at = now() WHERE id = $1 RETURNING ",
        columns!()
    ))
    .bind(id.0)
    .bind(status.as_str())
    .fetch_one(connection)
    .await?)
}

/// Sets the role, and returns the one before.
pub async fn set_role(connection: &mut PgConnection, id: UserId, role: Role) -> Result<Role> {
    let before: String =
        sqlx::query_scalar("SELECT role FROM users WHERE id = $1 FOR NO KEY UPDATE")
            .bind(id.0)
            .fetch_one(&mut *connection)
            .await?;
    sqlx::query("UPDATE users SET role = $2, updated_at = now() WHERE id = $1 AND role <> $2")
        .bind(id.0)
        .bind(role.as_str())
        .execute(connection)
        .await?;
    column::state(before)
}

/// Marks the e-mail address as verified, unless it is already.
pub async fn set_email_verified(connection: &mut PgConnection, id: UserId) -> Result<()> {
    const SQL: &str = "UPDATE users SET email_verified_at = now(), updated_at = now() \
         WHERE id = $1 AND email_verified_at IS NULL";
    by_id::execute(connection, id.0, SQL).await
}

/// Changes of a user by themselves; a field that is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Unique username.
    pub username: Option<Username>,
    /// Full name.
    pub full_name: Option<FullName>,
    /// URL of a picture; empty removes it.
    pub avatar: Option<Avatar>,
    /// Free JSON.
    pub settings: Option<Info>,
    /// Free JSON.
    pub info: Option<Info>,
}

/// Changes an active user, and returns the row.
///
/// Returns `None` when nothing changes; then nothing is written.
pub async fn change(
    connection: &mut PgConnection,
    id: UserId,
    changes: &Changes,
) -> Result<Option<Model>> {
    Ok(sqlx::query_as(concat!(
        "UPDATE users SET username = coalesce($2, username), \
         username_shared = username_shared AND coalesce($2 = username, true), full_name = coalesce($3, full_name), \
         avatar = nullif(coalesce($4, avatar), ''), settings = coalesce($5, settings), \
         info = coalesce($6, info), updated_at = now() WHERE id = $1 AND status = 'active' \
         AND (username, full_name, avatar, settings::text, info::text) IS DISTINCT FROM \
         (coalesce($2, username), coalesce($3, full_name), nullif(coalesce($4, avatar), ''), \
          coalesce($5, settings)::text, coalesce($6, info)::text) RETURNING ",
        columns!()
    ))
    .bind(id.0)
    .bind(changes.username.as_ref().map(Username::as_str))
    .bind(changes.full_name.as_ref().map(FullName::as_str))
    .bind(changes.avatar.as_ref().map(Avatar::as_str))
    .bind(changes.settings.as_ref().map(Json))
    .bind(changes.info.as_ref().map(Json))
    .fetch_optional(connection)
    .await?)
}

/// Erases all personal data of a deleted user but the id, by which the books name their owner: the profile, identities,
/// credentials at exchanges, stored responses, addresses and user agents of sessions. The caller revokes the sessions.
pub async fn erase(connection: &mut PgConnection, id: UserId) -> Result<()> {
    for statement in [
        "DELETE FROM oauth_identities WHERE user_id = $1",
        "DELETE FROM idempotency_keys WHERE user_id = $1",
        // Responses to admins hold the profile.
        "DELETE FROM idempotency_keys k USING users u WHERE u.id = $1 AND position(u.id::text IN k.path) > 0 \
         AND k.user_id IN (SELECT id FROM users WHERE role = 'admin')",
        "UPDATE users SET username = 'deleted-' || id, full_name = '', email = NULL, email_verified_at = NULL, \
         avatar = NULL, settings = '{}', info = '{}', updated_at = now() WHERE id = $1",
        "UPDATE sessions SET user_agent = NULL, ip = NULL, info = '{}', updated_at = now() WHERE user_id = $1",
        "UPDATE exchange_bindings SET name = 'deleted-' || id, info = '{}', api_key_encrypted = NULL, api_secret_encrypted = NULL, \
         passphrase_encrypted = NULL, masked_api_key = NULL, key_id = NULL, fingerprint = NULL, \
         status = 'deleted', updated_at = now() WHERE user_id = $1",
    ] {
        by_id::execute(&mut *connection, id.0, statement).await?;
    }
    Ok(())
}

/// Fails unless a user is active, and locks the user until the transaction ends: their status, and what else they create,
/// so that a quota is counted without races. Must be the first lock of the transaction.
///
/// # Errors
/// [`Error::AccountDisabled`], and [`Error::InvalidToken`] when the user is deleted, as cached sessions outlive the user by
/// seconds.
pub async fn lock_active(connection: &mut PgConnection, user: UserId) -> Result<()> {
    let status: Option<String> =
        sqlx::query_scalar("SELECT status FROM users WHERE id = $1 FOR NO KEY UPDATE")
            .bind(user.0)
            .fetch_optional(connection)
            .await?;
    match status.as_deref().and_then(UserStatus::named) {
        Some(UserStatus::Active) => Ok(()),
        Some(UserStatus::Disabled) => Err(Error::AccountDisabled),
        Some(UserStatus::Deleted) | None => Err(Error::InvalidToken("its session has ended")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposes_the_whole_id_as_the_last_resort() {
        let id = UserId(new_id());
        let [wanted, short, long] = usernames(" a\u{7}nn \n", id);
        assert_eq!(wanted, "ann");
        assert!(
            short.starts_with("ann-") && short.len() == "ann-".len() + 8,
            "{short}"
        );
        assert_eq!(long, format!("ann-{}", id.0.simple()));
        assert_eq!(usernames("", id)[0], "user");
        let longest = usernames(&"x".repeat(1_000), id);
        assert!(longest.iter().all(|name| name.len() <= 128), "{longest:?}");
    }
}
