//! `POST /v1/auth/logout`

use crate::routes::prelude::*;
use tiris_store::audit::{self, Action};
use tiris_store::sessions;

/// Sign out.
pub(crate) struct Logout;

impl Policy for Logout {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::Auth);
    const REFUSALS: &'static [Refusal] = &[];
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::SignIn")]
impl Logout {
    /// Signs out: ends the session of the access token
    ///
    /// All its tokens stop within 10 seconds everywhere.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: Caller<Self>, state: Data<&State>) -> Answer<Message, Self> {
        let session = caller.session();

        let reply = Tx::run(&state, caller.user(), async |mut tx: Tx| {
            // Two requests at once: the second finds it done.
            if sessions::revoke(&mut tx, session).await? {
                let action = Action {
                    name: "session.end",
                    resource: "session",
                    id: Some(session.to_string()),
                    before: None,
                    after: None,
                };
                audit::record(&mut tx, caller.actor(), &action).await?;
            }
            tx.finish(Message::new("You are signed out.")).await
        });
        let reply = reply.await?;

        state.sessions.forget(&[session]).await;
        Ok(reply)
    }
}
