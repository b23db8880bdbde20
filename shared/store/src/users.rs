//! People: made, found and locked, given another role or status, removed.
//!
//! Owns: the rows of `users`, and what goes with a person who leaves. Must not know: who may do it.

use crate::column;
use crate::entity::users::Model;
use crate::error::{Conflict, Error, Result};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use tiris_domain::ids::{UserId, new_id};
use tiris_domain::states::{Role, State, UserStatus};
use tiris_domain::value::{Avatar, FULL_NAME_CHARS_MAX, FullName, Info, Username};
use uuid::Uuid;

/// Longest username that is made from another name, in characters.
const MADE_USERNAME_CHARS_MAX: usize = 64;

/// A person to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewUser<'a> {
    /// The username, when nobody has it; else something that begins with it.
    pub wanted: &'a str,
    /// Name in full.
    pub full_name: &'a str,
    /// E-mail address that is known to be theirs.
    pub email: Option<&'a str>,
    /// URL of a picture.
    pub avatar: Option<&'a str>,
    /// What they may do.
    pub role: Role,
}

/// Makes a person.
///
/// # Errors
/// [`Conflict::Email`] when somebody else has the address.
pub async fn insert(connection: &mut PgConnection, new: &NewUser<'_>) -> Result<UserId> {
    let id = UserId(new_id());

    for username in usernames(new.wanted, id) {
        let inserted = sqlx::query(
            "INSERT INTO users (id, username, full_name, email, email_verified_at, avatar, role) \
             VALUES ($1, $2, $3, $4, CASE WHEN $4::text IS NOT NULL THEN now() END, $5, $6) \
             ON CONFLICT (username) WHERE status <> 'deleted' DO NOTHING",
        )
        .bind(id.0)
        .bind(username)
        .bind(plain(new.full_name, FULL_NAME_CHARS_MAX))
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

/// What the person may be called, best first. Somebody else may have the name: then part of the id tells them apart, and
/// all of it if even that is taken.
fn usernames(wanted: &str, id: UserId) -> [String; 3] {
    let wanted = match plain(wanted, MADE_USERNAME_CHARS_MAX) {
        empty if empty.is_empty() => "user".to_owned(),
        wanted => wanted,
    };
    let id = id.0.simple().to_string();
    let short = format!("{wanted}-{}", &id[24..]);
    let long = format!("{wanted}-{id}");

    [wanted, short, long]
}

/// A name somebody else wrote, without what no name holds and no column can store.
fn plain(name: &str, max: usize) -> String {
    let printable: String = name.chars().filter(|letter| !letter.is_control()).collect();
    printable
        .trim()
        .chars()
        .take(max)
        .collect::<String>()
        .trim_end()
        .to_owned()
}

/// Returns a user, whatever the status.
///
/// # Errors
/// [`Error::NotFound`] when the user does not exist.
pub async fn get(executor: impl PgExecutor<'_>, id: UserId) -> Result<Model> {
    let row = sqlx::query_as(
        "SELECT id, username, full_name, email, email_verified_at, avatar, role, status, settings, info, \
         created_at, updated_at FROM users WHERE id = $1",
    )
    .bind(id.0)
    .fetch_optional(executor)
    .await?;
    row.ok_or(Error::NotFound("user"))
}

/// Returns a user who is not deleted, whose row stays locked until the transaction ends.
pub async fn lock(connection: &mut PgConnection, id: UserId) -> Result<Option<Model>> {
    let row = sqlx::query_as(
        "SELECT id, username, full_name, email, email_verified_at, avatar, role, status, settings, info, \
         created_at, updated_at FROM users WHERE id = $1 AND status <> 'deleted' FOR NO KEY UPDATE",
    )
    .bind(id.0)
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// A user whose row is locked until the transaction ends.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct LockedUser {
    /// The user.
    #[sqlx(try_from = "Uuid")]
    pub id: UserId,
    /// Never [`UserStatus::Deleted`].
    #[sqlx(try_from = "String")]
    pub status: UserStatus,
}

/// The user with this e-mail address who is not deleted.
pub async fn lock_by_email(
    connection: &mut PgConnection,
    email: &str,
) -> Result<Option<LockedUser>> {
    let found = sqlx::query_as(
        "SELECT id, status FROM users WHERE lower(email) = lower($1) AND status <> 'deleted' FOR NO KEY UPDATE",
    )
    .bind(email)
    .fetch_optional(connection)
    .await?;
    Ok(found)
}

/// Sets the status, and returns the user.
pub async fn set_status(
    connection: &mut PgConnection,
    id: UserId,
    status: UserStatus,
) -> Result<Model> {
    let row = sqlx::query_as(
        "UPDATE users SET status = $2, updated_at = now() WHERE id = $1 \
         RETURNING id, username, full_name, email, email_verified_at, avatar, role, status, settings, info, \
         created_at, updated_at",
    )
    .bind(id.0)
    .bind(status.as_str())
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Sets the role and answers the one before.
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

/// Notes that the address was seen to be the user's, unless it was before.
pub async fn set_email_verified(connection: &mut PgConnection, id: UserId) -> Result<()> {
    sqlx::query("UPDATE users SET email_verified_at = now(), updated_at = now() WHERE id = $1 AND email_verified_at IS NULL")
        .bind(id.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// What a person changes of themselves; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Unique name.
    pub username: Option<Username>,
    /// Name in full.
    pub full_name: Option<FullName>,
    /// URL of a picture; empty takes it away.
    pub avatar: Option<Avatar>,
    /// Free JSON.
    pub settings: Option<Info>,
    /// Free JSON.
    pub info: Option<Info>,
}

/// Changes an active user, and returns them.
///
/// # Errors
/// [`Error::NotFound`] when there is no such active user.
pub async fn change(connection: &mut PgConnection, id: UserId, changes: &Changes) -> Result<Model> {
    let row = sqlx::query_as(
        "UPDATE users SET username = coalesce($2, username), full_name = coalesce($3, full_name), \
         avatar = nullif(coalesce($4, avatar), ''), settings = coalesce($5, settings), \
         info = coalesce($6, info), updated_at = now() WHERE id = $1 AND status = 'active' \
         RETURNING id, username, full_name, email, email_verified_at, avatar, role, status, settings, info, \
         created_at, updated_at",
    )
    .bind(id.0)
    .bind(changes.username.as_ref().map(Username::as_str))
    .bind(changes.full_name.as_ref().map(FullName::as_str))
    .bind(changes.avatar.as_ref().map(Avatar::as_str))
    .bind(changes.settings.as_ref().map(Json))
    .bind(changes.info.as_ref().map(Json))
    .fetch_optional(connection)
    .await?;

    row.ok_or(Error::NotFound("user"))
}

/// Destroys what lets a person or a program act as this user: identities, credentials at exchanges, kept answers.
/// The books stay. Sessions are for the caller to end.
pub async fn destroy_credentials(connection: &mut PgConnection, id: UserId) -> Result<()> {
    for statement in [
        "DELETE FROM oauth_identities WHERE user_id = $1",
        "DELETE FROM idempotency_keys WHERE user_id = $1",
        "UPDATE exchange_bindings SET api_key_encrypted = NULL, api_secret_encrypted = NULL, \
         passphrase_encrypted = NULL, masked_api_key = NULL, key_id = NULL, fingerprint = NULL, \
         status = 'deleted', updated_at = now() WHERE user_id = $1",
    ] {
        sqlx::query(statement)
            .bind(id.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// That the user may still get things of his own. Locks the row against being deleted or disabled meanwhile, so it comes
/// before every other lock of the transaction.
///
/// # Errors
/// [`Error::AccountDisabled`], and [`Error::InvalidToken`] when the user is gone: the session is remembered for seconds.
pub async fn lock_active(connection: &mut PgConnection, user: UserId) -> Result<()> {
    let status: Option<String> =
        sqlx::query_scalar("SELECT status FROM users WHERE id = $1 FOR SHARE")
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
    fn the_last_name_proposed_holds_the_whole_id_so_that_nobody_can_have_it() {
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
