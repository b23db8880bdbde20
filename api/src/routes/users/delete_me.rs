//! `DELETE /v1/users/me`

use super::action::action;
use crate::routes::prelude::*;
use tiris_domain::states::UserStatus;
use tiris_store::{audit, sessions, users};

/// Delete the current user.
pub(crate) struct DeleteMe;

impl Policy for DeleteMe {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[];
}

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl DeleteMe {
    /// Deletes who is signed in
    ///
    /// All sessions end; credentials at exchanges and the ties to identity providers are destroyed. The books stay.
    /// E-mail address and username are free again, so that the same person can come back as a new user.
    #[oai(path = "/me", method = "delete", operation_id = "deleteMe")]
    async fn delete(&self, caller: Caller<Self>, state: Data<&State>) -> Answer<Message, Self> {
        let user = caller.user();

        let reply = Tx::run(&state, user, async |mut tx: Tx| {
            users::lock(&mut tx, user)
                .await?
                .ok_or(Error::NotFound("user"))?;
            users::set_status(&mut tx, user, UserStatus::Deleted).await?;
            users::destroy_credentials(&mut tx, user).await?;
            let ended = sessions::revoke_all(&mut tx, user).await?;
            audit::record(&mut tx, caller.actor(), &action("user.delete", user)).await?;

            let reply = tx.finish(Message::new("Your account is deleted.")).await?;
            Ok((reply, ended))
        });
        let (reply, ended) = reply.await?;

        state.sessions.forget(&ended).await;
        Ok(reply)
    }
}
