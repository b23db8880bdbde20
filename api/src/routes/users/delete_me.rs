//! `DELETE /v1/users/me`

use crate::routes::prelude::*;
use tiris_domain::states::UserStatus;
use tiris_store::{sessions, users};

operation!(DeleteMe: User, General, []);

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl DeleteMe {
    /// Delete the current user
    ///
    /// Ends all sessions and destroys the stored exchange credentials and the links to identity providers. Transactions
    /// and trading logs stay in the books. E-mail address and username become free: signing in again creates a new user.
    /// This cannot be undone.
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
            let action = action("user.delete", "user", user);
            audit::record(&mut tx, caller.actor(), &action).await?;

            let reply = tx.finish(Message::new("Your account is deleted.")).await?;
            Ok((reply, ended))
        });
        let (reply, ended) = reply.await?;

        state.sessions.forget(&ended).await;
        Ok(reply)
    }
}
