//! `PUT /v1/users/me`

use super::object::User;
use crate::routes::prelude::*;
use serde_json::Value;
use tiris_domain::value::{Avatar, FullName, Username};
use tiris_store::users::{self, Changes};

operation!(UpdateMe: User, General, [
    INVALID_BODY,
    NOT_FOUND,
    (409, "`USERNAME_EXISTS`: another account uses this username"),
    STALE,
]);

/// Changes of the current user; absent and null fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
struct Profile {
    /// New username, unique among all users
    username: Option<Field<Username>>,
    /// Full name; may be empty
    full_name: Option<Field<FullName>>,
    /// URL of a picture, http or https; an empty text removes the picture
    avatar: Option<Field<Avatar>>,
    /// Free JSON for the settings of client programs, at most 16 KiB; replaces the current one
    settings: Option<Field<Info>>,
    /// Free JSON, at most 16 KiB; replaces the current one
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

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl UpdateMe {
    /// Update the current user
    ///
    /// Absent fields stay as they are. The e-mail address comes from the identity provider and cannot be changed. With
    /// `If-Match` the update applies only to the version with that `ETag`, otherwise it fails with `STALE_VERSION`.
    #[oai(path = "/me", method = "put", operation_id = "updateMe")]
    async fn update(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        idempotency: Idempotency,
        /// `ETag` of the version to update, from an earlier `GET`
        #[oai(name = "If-Match")]
        seen: IfMatch,
        body: JsonBody<Profile>,
    ) -> Answer<User, Self> {
        let user = caller.user();
        let profile = body.0;
        let changes = Changes {
            username: profile.username.map(|name| name.0),
            full_name: profile.full_name.map(|name| name.0),
            avatar: profile.avatar.map(|url| url.0),
            settings: profile.settings.map(|info| info.0),
            info: profile.info.map(|info| info.0),
        };

        let work = async |mut tx: Tx| {
            let current = users::lock(&mut tx, user).await?;
            let current = User::try_from(current.ok_or(Error::NotFound("user"))?)?;
            seen.check(&current)?;

            let Some(changed) = users::change(&mut tx, user, &changes).await? else {
                return tx.finish_unchanged(current).await;
            };
            let action = Action {
                after: Some(recorded(&changes)),
                ..action(ActionName::UserChange, "user", user)
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(User::try_from(changed)?).await
        };
        let reread = async || User::try_from(users::get(&state.pool, user).await?);
        let reply = idempotency.run_or_reread(&state, user, work, reread);
        Ok(reply.await?)
    }
}

/// Returns the names of the changed fields. The audit trail keeps no values, because it outlives the user.
fn recorded(changes: &Changes) -> Value {
    let fields = [
        ("username", changes.username.is_some()),
        ("full_name", changes.full_name.is_some()),
        ("avatar", changes.avatar.is_some()),
        ("settings", changes.settings.is_some()),
        ("info", changes.info.is_some()),
    ];
    let given = fields.into_iter().filter(|(_, is_given)| *is_given);
    json!({"fields": given.map(|(name, _)| name).collect::<Vec<_>>()})
}
