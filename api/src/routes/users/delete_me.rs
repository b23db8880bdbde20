//! `DELETE /v1/users/me`

use crate::routes::prelude::*;
use tiris_domain::states::UserStatus;
use tiris_store::{sessions, users};

operation!(DeleteMe: User, General, []);

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl DeleteMe {
    /// Delete the current user
    ///
    /// Ends all sessions, and erases the e-mail address, the names, the picture, `settings` and `info`, the links to identity
    /// providers, the exchange bindings with their credentials, and the addresses and user agents of the sessions. E-mail
    /// address and username become free: signing in again creates a new user. This cannot be undone.
    ///
    /// What stays: the books, which are transactions, trading logs, orders, and the names of tradings and sub-accounts, because
    /// balances must remain provable; they name their owner by id only. The audit trail stays with the id, and with the
    /// addresses and user agents of past requests as evidence against misuse, until its retention removes it.
    #[oai(path = "/me", method = "delete", operation_id = "deleteMe")]
    async fn delete(&self, caller: Caller<Self>, state: Data<&State>) -> Answer<Message, Self> {
        let user = caller.user();

        let reply = Tx::run(&state, user, async |mut tx: Tx| {
            users::lock(&mut tx, user)
                .await?
                .ok_or(Error::NotFound("user"))?;
            users::set_status(&mut tx, user, UserStatus::Deleted).await?;
            users::erase(&mut tx, user).await?;
            let ended = sessions::revoke_all(&mut tx, user, None).await?;
            let action = action(ActionName::UserDelete, "user", user);
            let tx = tx.audited(caller.actor(), &action).await?;

            let reply = tx.finish(Message::new("Your account is deleted.")).await?;
            Ok((reply, ended))
        });
        let (reply, ended) = reply.await?;

        state.sessions.forget(&ended).await;
        Ok(reply)
    }
}
