//! `PUT /v1/users/me`

use super::action::action;
use super::object::User;
use crate::routes::prelude::*;
use serde_json::{Value, json};
use tiris_domain::value::{Avatar, FullName, Info, Username};
use tiris_store::audit::{self, Action};
use tiris_store::users::{self, Changes};

/// Change the current user.
pub(crate) struct UpdateMe;

impl Policy for UpdateMe {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[
        INVALID_BODY,
        NOT_FOUND,
        (409, "`USERNAME_EXISTS`: another account uses this username"),
        STALE,
        TOO_LARGE,
        NO_JSON,
    ];
}

/// What can be changed of oneself; what is left out stays.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
struct Profile {
    /// Unique among all users
    username: Option<Field<Username>>,
    /// Name in full, may be empty
    full_name: Option<Field<FullName>>,
    /// URL of a picture, http or https; empty takes it away
    avatar: Option<Field<Avatar>>,
    /// Free JSON, at most 16 KiB, replaced whole
    settings: Option<Field<Info>>,
    /// Free JSON, at most 16 KiB, replaced whole
    info: Option<Field<Info>>,
}

impl Example for Profile {
    fn example() -> Self {
        Self {
            username: Some(Field(Username::from_static("ann"))),
            full_name: Some(Field(FullName::from_static("Ann Example"))),
            avatar: None,
            settings: Some(Field::default()),
            info: None,
        }
    }
}

impl From<Profile> for Changes {
    fn from(profile: Profile) -> Self {
        Self {
            username: profile.username.map(|name| name.0),
            full_name: profile.full_name.map(|name| name.0),
            avatar: profile.avatar.map(|url| url.0),
            settings: profile.settings.map(|info| info.0),
            info: profile.info.map(|info| info.0),
        }
    }
}

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl UpdateMe {
    /// Changes who is signed in; what is left out stays
    ///
    /// The e-mail address is the one of the identity provider and cannot be changed here.
    #[oai(path = "/me", method = "put", operation_id = "updateMe")]
    async fn update(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        idempotency: Idempotency,
        /// ETag of the version to be changed
        #[oai(name = "If-Match")]
        seen: IfMatch,
        body: JsonBody<Profile>,
    ) -> Answer<User, Self> {
        let user = caller.user();
        let changes = Changes::from(body.0);

        let reply = idempotency.run(&state, user, async |mut tx: Tx| {
            let current = users::lock(&mut tx, user).await?;
            seen.check(&User::try_from(current.ok_or(Error::NotFound("user"))?)?)?;

            let changed = users::change(&mut tx, user, &changes).await?;
            let action = Action {
                after: Some(recorded(&changes)),
                ..action("user.change", user)
            };
            audit::record(&mut tx, caller.actor(), &action).await?;
            tx.finish(User::try_from(changed)?).await
        });
        Ok(reply.await?)
    }
}

/// Names as they are now; of free JSON, which may hold anything, only that it was replaced.
fn recorded(changes: &Changes) -> Value {
    let replaced = |info: &Option<Info>| info.as_ref().map(|_| json!("replaced"));
    let fields = [
        (
            "username",
            changes.username.as_ref().map(|name| json!(name.as_str())),
        ),
        (
            "full_name",
            changes.full_name.as_ref().map(|name| json!(name)),
        ),
        (
            "avatar",
            changes.avatar.as_ref().map(|url| json!(url.as_str())),
        ),
        ("settings", replaced(&changes.settings)),
        ("info", replaced(&changes.info)),
    ];

    let given = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect())
}
