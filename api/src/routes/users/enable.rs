//! `PUT /v1/users/{id}/enable`

use super::action::action;
use super::object::User;
use crate::routes::prelude::*;
use tiris_domain::ids::UserId;
use tiris_domain::states::UserStatus;
use tiris_store::{audit, column, users};

/// Enable a user again, for admins.
pub(crate) struct EnableUser;

impl Policy for EnableUser {
    const ACCESS: Access = Access::Admin;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND, STALE, TOO_LARGE];
}

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl EnableUser {
    /// Enables a user again (admins), who has to sign in again
    ///
    /// Dead letters stay: replay them by `POST /v1/events/dead-letters/replay`.
    #[oai(path = "/:id/enable", method = "put", operation_id = "enableUser")]
    async fn enable(
        &self,
        admin: Caller<Self>,
        state: Data<&State>,
        /// The user
        id: Path<Uuid>,
        idempotency: Idempotency,
        /// ETag of the version to be changed
        #[oai(name = "If-Match")]
        seen: IfMatch,
    ) -> Answer<User, Self> {
        let user = UserId(id.0);

        let reply = idempotency.run(&state, admin.user(), async |mut tx: Tx| {
            let row = users::lock(&mut tx, user).await?;
            let mut row = row.ok_or(Error::NotFound("user"))?;
            let status: UserStatus = column::state(&row.status)?;
            seen.check(&User::try_from(row.clone())?)?;

            if status != UserStatus::Active {
                row = users::set_status(&mut tx, user, UserStatus::Active).await?;
                audit::record(&mut tx, admin.actor(), &action("user.enable", user)).await?;
            }
            tx.finish(User::try_from(row)?).await
        });
        Ok(reply.await?)
    }
}
