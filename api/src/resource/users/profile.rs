//! What people do with their own account: change it, leave.

use super::User;
use crate::fields::{Fields, FromFields};
use crate::ledger::Work;
use crate::value::Info;
use crate::version::IfMatch;
use poem_openapi::Object;
use poem_openapi::types::Example;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use tiris_domain::ids::UserId;
use tiris_domain::states::UserStatus;
use tiris_store::audit::{self, Action, Actor};
use tiris_store::error::{Error, Result};
use tiris_store::sessions;
use tiris_store::users::{self, Changes, FULL_NAME_CHARS_MAX};
use uuid::Uuid;

/// Longest username, in characters.
const USERNAME_CHARS_MAX: usize = 128;
/// Longest URL of a picture, in characters.
const AVATAR_CHARS_MAX: usize = 2_048;

/// What can be changed of oneself; what is left out stays.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct Profile {
    /// Unique among all users
    #[oai(validator(min_length = 1, max_length = 128))]
    username: Option<String>,
    /// Name in full, may be empty
    #[oai(validator(max_length = 256))]
    full_name: Option<String>,
    /// URL of a picture, http or https; empty takes it away
    #[oai(validator(max_length = 2048))]
    avatar: Option<String>,
    /// Free JSON, at most 16 KiB, replaced whole
    settings: Option<Info>,
    /// Free JSON, at most 16 KiB, replaced whole
    info: Option<Info>,
}

impl Example for Profile {
    fn example() -> Self {
        Self {
            username: Some("ann".to_owned()),
            full_name: Some("Ann Example".to_owned()),
            avatar: None,
            settings: Some(Info::default()),
            info: None,
        }
    }
}

impl FromFields for Profile {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            username: username(fields)?,
            full_name: fields.text("full_name", 0, FULL_NAME_CHARS_MAX)?,
            avatar: avatar(fields)?,
            settings: fields.free("settings")?,
            info: fields.free("info")?,
        })
    }
}

fn username(fields: &mut Fields) -> Result<Option<String>> {
    let username = fields.text("username", 1, USERNAME_CHARS_MAX)?;
    match &username {
        Some(name) if name.trim() != name || name.chars().any(char::is_control) => {
            Err(Error::invalid(
                "username",
                "must neither begin nor end blank, nor hold control characters",
            ))
        }
        _ => Ok(username),
    }
}

fn avatar(fields: &mut Fields) -> Result<Option<String>> {
    let avatar = fields.text("avatar", 0, AVATAR_CHARS_MAX)?;
    match &avatar {
        // Pages show it as the source of a picture: nothing may hide there that runs.
        Some(url) if !url.is_empty() && !is_web(url) => Err(Error::invalid(
            "avatar",
            "must be a URL that begins with https:// or http://",
        )),
        _ => Ok(avatar),
    }
}

fn is_web(url: &str) -> bool {
    ["https://", "http://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
        && !url.contains(char::is_whitespace)
}

impl Profile {
    pub(super) fn into_changes(self) -> Changes {
        let object = |info: Option<Info>| info.map(|info| Value::Object(info.0));
        Changes {
            username: self.username,
            full_name: self.full_name,
            avatar: self.avatar,
            settings: object(self.settings),
            info: object(self.info),
        }
    }
}

/// The transaction that changes the caller.
pub(super) struct ChangeWork<'a> {
    pub(super) user: UserId,
    pub(super) actor: &'a Actor,
    pub(super) seen: IfMatch,
    pub(super) changes: Changes,
}

impl Work for ChangeWork<'_> {
    type Output = User;

    async fn run(&self, connection: &mut PgConnection) -> Result<User> {
        let locked = async {
            users::lock(connection, self.user).await?;
            User::load_within(connection, self.user).await
        };
        self.seen.check(locked).await?;
        if !users::change(connection, self.user, &self.changes).await? {
            return Err(Error::NotFound("user"));
        }
        let after = self.told();
        record(
            connection,
            self.actor,
            "user.change",
            self.user,
            Some(after),
        )
        .await?;
        User::load_within(connection, self.user).await
    }
}

impl ChangeWork<'_> {
    /// Names as they are now; of free JSON, which may hold anything, only that it was replaced.
    fn told(&self) -> Value {
        let Changes {
            username,
            full_name,
            avatar,
            settings,
            info,
        } = &self.changes;
        let texts = [
            ("username", username),
            ("full_name", full_name),
            ("avatar", avatar),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, json!(text.as_ref()?))));
        let free = [("settings", settings), ("info", info)];
        let free = free
            .into_iter()
            .filter(|(_, value)| value.is_some())
            .map(|(name, _)| (name, json!("replaced")));
        Value::Object(
            texts
                .chain(free)
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<Map<_, _>>(),
        )
    }
}

/// The transaction that removes the caller; it answers which sessions have ended.
pub(super) struct RemoveWork<'a> {
    pub(super) user: UserId,
    pub(super) actor: &'a Actor,
}

impl Work for RemoveWork<'_> {
    type Output = Vec<Uuid>;

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<Uuid>> {
        users::lock(connection, self.user)
            .await?
            .ok_or(Error::NotFound("user"))?;
        users::set_status(connection, self.user, UserStatus::Deleted).await?;
        users::destroy_credentials(connection, self.user).await?;
        let ended = sessions::revoke_all(connection, self.user).await?;
        record(connection, self.actor, "user.delete", self.user, None).await?;
        Ok(ended)
    }
}

/// Keeps what was done to a user.
pub(super) async fn record(
    connection: &mut PgConnection,
    actor: &Actor,
    name: &str,
    user: UserId,
    after: Option<Value>,
) -> Result<()> {
    let action = Action {
        name,
        resource: "user",
        id: Some(user.to_string()),
        before: None,
        after,
    };
    audit::record(connection, actor, &action).await
}
