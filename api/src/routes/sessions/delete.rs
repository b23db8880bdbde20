//! `DELETE /v1/sessions/{id}`

use crate::routes::prelude::*;
use tiris_store::sessions;

operation!(DeleteSession: User, General, [INVALID, NOT_FOUND]);

#[OpenApi(prefix_path = "/v1/sessions", tag = "Tag::Authentication")]
impl DeleteSession {
    /// End a session
    ///
    /// All access tokens and the refresh token of the session stop working within 10 seconds. Users end their own sessions,
    /// admins also those of others, for example a stolen one.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteSession")]
    async fn delete(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the session, from `GET /v1/sessions` or the audit trail
        id: Path<Uuid>,
    ) -> Answer<Message, Self> {
        let session = id.0;
        let owner = (!caller.is_admin()).then_some(caller.user());

        let reply = Tx::run(&state, caller.user(), async |mut tx: Tx| {
            if !sessions::revoke_active(&mut tx, session, owner).await? {
                return Err(Error::NotFound("session"));
            }
            let action = action(ActionName::SessionEnd, "session", session);
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(Message::new("The session is ended.")).await
        });
        let reply = reply.await?;

        state.sessions.forget(&[session]).await;
        Ok(reply)
    }
}
