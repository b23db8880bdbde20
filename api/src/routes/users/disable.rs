//! `PUT /v1/users/{id}/disable`

use super::action::action;
use super::object::User;
use crate::routes::prelude::*;
use serde_json::json;
use tiris_domain::ids::UserId;
use tiris_domain::states::UserStatus;
use tiris_domain::value::Text;
use tiris_store::audit::{self, Action};
use tiris_store::{column, sessions, users};

/// Disable a user, for admins.
pub(crate) struct DisableUser;

impl Policy for DisableUser {
    const ACCESS: Access = Access::Admin;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_BODY, NOT_FOUND, STALE, TOO_LARGE, NO_JSON];
}

/// Why a user is disabled.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
struct Disabling {
    /// Kept in the audit trail
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

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl DisableUser {
    /// Disables a user (admins): all sessions end, and what bots of the user publish becomes dead letters
    ///
    /// Admins cannot disable themselves. Disabling again changes nothing.
    #[oai(path = "/:id/disable", method = "put", operation_id = "disableUser")]
    async fn disable(
        &self,
        admin: Caller<Self>,
        state: Data<&State>,
        /// The user
        id: Path<Uuid>,
        idempotency: Idempotency,
        /// ETag of the version to be changed
        #[oai(name = "If-Match")]
        seen: IfMatch,
        body: JsonBody<Disabling>,
    ) -> Answer<User, Self> {
        let user = UserId(id.0);
        let reason = body.0.reason;
        if user == admin.user() {
            return Err(Error::AccessDenied("admins cannot disable themselves").into());
        }

        let reply = idempotency.run(&state, admin.user(), async |mut tx: Tx| {
            let row = users::lock(&mut tx, user).await?;
            let mut row = row.ok_or(Error::NotFound("user"))?;
            let status: UserStatus = column::state(&row.status)?;
            seen.check(&User::try_from(row.clone())?)?;

            let mut ended = Vec::new();
            if status != UserStatus::Disabled {
                row = users::set_status(&mut tx, user, UserStatus::Disabled).await?;
                ended = sessions::revoke_all(&mut tx, user).await?;
                let action = Action {
                    after: Some(json!({"reason": reason, "sessions": ended.len()})),
                    ..action("user.disable", user)
                };
                audit::record(&mut tx, admin.actor(), &action).await?;
            }
            tx.finish(Disabled {
                user: User::try_from(row)?,
                ended,
            })
            .await
        });
        let reply = reply.await?;

        if let Some(disabled) = reply.data() {
            state.sessions.forget(&disabled.ended).await;
        }
        Ok(reply.map(|disabled| disabled.user))
    }
}

/// A user who is disabled, and the sessions that ended by it.
#[derive(Serialize)]
#[serde(transparent)]
struct Disabled {
    user: User,
    #[serde(skip)]
    ended: Vec<Uuid>,
}
