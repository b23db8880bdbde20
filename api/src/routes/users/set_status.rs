//! `PUT /v1/users/{id}/disable` and `PUT /v1/users/{id}/enable`

use super::object::User;
use crate::routes::prelude::*;
use tiris_domain::states::UserStatus;
use tiris_store::{sessions, users};

operation!(DisableUser: Admin, General, [INVALID_BODY, NOT_FOUND, STALE]);

operation!(EnableUser: Admin, General, [INVALID, NOT_FOUND, STALE]);

/// The reason for disabling a user.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
struct Disabling {
    /// Reason for the audit trail, at most 500 characters
    reason: Option<Field<Text<0, 500>>>,
}

impl Example for Disabling {
    fn example() -> Self {
        let reason = Text::from_static("the bot of this user floods the stream");
        Self {
            reason: Some(Field(reason)),
        }
    }
}

/// A disabled user with the sessions that were ended.
#[derive(Serialize)]
#[serde(transparent)]
struct Disabled {
    user: User,
    #[serde(skip)]
    ended: Vec<Uuid>,
}

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::AdminUsers")]
impl DisableUser {
    /// Disable a user
    ///
    /// Admins only; admins cannot disable themselves. Ends all sessions of the user within 10 seconds; events that the
    /// user's bots publish from then on become dead letters. Disabling a disabled user changes nothing.
    #[oai(path = "/:id/disable", method = "put", operation_id = "disableUser")]
    async fn disable(
        &self,
        admin: Caller<Self>,
        state: Data<&State>,
        /// Id of the user, from `GET /v1/users`
        id: Path<Uuid>,
        idempotency: Idempotency,
        /// `ETag` of the version to update, from an earlier `GET`
        #[oai(name = "If-Match")]
        seen: IfMatch,
        body: JsonBody<Disabling>,
    ) -> Answer<User, Self> {
        let user = UserId(id.0);
        let reason = body.0.reason;
        if user == admin.user() {
            return Err(Error::AccessDenied("admins cannot disable themselves").into());
        }

        let work = async |mut tx: Tx| {
            let row = users::lock(&mut tx, user).await?;
            let mut row = row.ok_or(Error::NotFound("user"))?;
            let status: UserStatus = column::state(&row.status)?;
            seen.check(&User::try_from(row.clone())?)?;

            let mut ended = Vec::new();
            let tx = if status == UserStatus::Disabled {
                tx.unchanged()
            } else {
                row = users::set_status(&mut tx, user, UserStatus::Disabled).await?;
                ended = sessions::revoke_all(&mut tx, user, None).await?;
                let action = Action {
                    after: Some(json!({"reason": reason, "sessions": ended.len()})),
                    ..action(ActionName::UserDisable, "user", user)
                };
                tx.audited(admin.actor(), &action).await?
            };
            tx.finish(Disabled {
                user: User::try_from(row)?,
                ended,
            })
            .await
        };
        let reread = async || {
            Ok(Disabled {
                user: User::try_from(users::get(&state.pool, user).await?)?,
                ended: Vec::new(),
            })
        };
        let reply = idempotency
            .run_or_reread(&state, admin.user(), work, reread)
            .await?;

        if let Some(disabled) = reply.data() {
            state.sessions.forget(&disabled.ended).await;
        }
        Ok(reply.map(|disabled| disabled.user))
    }
}

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::AdminUsers")]
impl EnableUser {
    /// Enable a disabled user
    ///
    /// Admins only. The user has to sign in again. Dead letters from the time in between stay open; replay them with
    /// `POST /v1/events/dead-letters/replay`.
    #[oai(path = "/:id/enable", method = "put", operation_id = "enableUser")]
    async fn enable(
        &self,
        admin: Caller<Self>,
        state: Data<&State>,
        /// Id of the user, from `GET /v1/users`
        id: Path<Uuid>,
        idempotency: Idempotency,
        /// `ETag` of the version to update, from an earlier `GET`
        #[oai(name = "If-Match")]
        seen: IfMatch,
    ) -> Answer<User, Self> {
        let user = UserId(id.0);

        let work = async |mut tx: Tx| {
            let row = users::lock(&mut tx, user).await?;
            let mut row = row.ok_or(Error::NotFound("user"))?;
            let status: UserStatus = column::state(&row.status)?;
            seen.check(&User::try_from(row.clone())?)?;

            let tx = if status == UserStatus::Active {
                tx.unchanged()
            } else {
                row = users::set_status(&mut tx, user, UserStatus::Active).await?;
                let action = action(ActionName::UserEnable, "user", user);
                tx.audited(admin.actor(), &action).await?
            };
            tx.finish(User::try_from(row)?).await
        };
        let reread = async || User::try_from(users::get(&state.pool, user).await?);
        let reply = idempotency.run_or_reread(&state, admin.user(), work, reread);
        Ok(reply.await?)
    }
}
