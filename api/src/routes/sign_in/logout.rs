//! `POST /v1/auth/logout`

use crate::routes::prelude::*;
use tiris_store::sessions;

operation!(Logout: User, Auth, []);

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Logout {
    /// Sign out
    ///
    /// Ends the session of the access token. All access tokens and the refresh token of the session stop working within
    /// 10 seconds.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: Caller<Self>, state: Data<&State>) -> Answer<Message, Self> {
        let session = caller.session();

        let reply = Tx::run(&state, caller.user(), async |mut tx: Tx| {
            // A concurrent request may have ended the session already.
            let tx = if sessions::revoke(&mut tx, session).await? {
                let action = action(ActionName::SessionEnd, "session", session);
                tx.audited(caller.actor(), &action).await?
            } else {
                tx.unchanged()
            };
            tx.finish(Message::new("You are signed out.")).await
        });
        let reply = reply.await?;

        state.sessions.forget(&[session]).await;
        Ok(reply)
    }
}
