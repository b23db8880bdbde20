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
                ..action("user.change", "user", user)
            };
            audit::record(&mut tx, caller.actor(), &action).await?;
            tx.finish(User::try_from(changed)?).await
        };
        let reread = async || User::try_from(users::get(&state.pool, user).await?);
        let reply = idempotency.run_or_reread(&state, user, work, reread);
        Ok(reply.await?)
    }
}

/// Returns the changes as the audit trail records them. Free JSON may hold anything, so only its replacement is
/// recorded.
fn recorded(changes: &Changes) -> Value {
    let replaced = |info: &Option<Info>| info.as_ref().map(|_| "replaced");
    let mut fields = json!({
        "username": changes.username.as_ref().map(|name| name.as_str()),
        "full_name": changes.full_name,
        "avatar": changes.avatar.as_ref().map(|url| url.as_str()),
        "settings": replaced(&changes.settings),
        "info": replaced(&changes.info),
    });

    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    fields
}
