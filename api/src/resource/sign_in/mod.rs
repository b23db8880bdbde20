//! Signing in and out.

mod tokens;

use super::refusals::{Listing, Renew};
use super::{Tag, Told};
use crate::auth::{Caller, refresh};
use crate::body::JsonBody;
use crate::envelope::{Answer, Reply};
use crate::ledger::{self, Work};
use crate::state::State;
use poem::web::Data;
use poem_openapi::OpenApi;
use sqlx::PgConnection;
use tiris_shared::error::{Error, Result};
use tiris_shared::store::audit::{self, Action};
use tiris_shared::store::sessions;
use tokens::{Renewal, Tokens};

/// Operations on sessions.
pub(crate) struct SignIn;

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::SignIn")]
impl SignIn {
    /// A new access token
    ///
    /// The refresh token stays valid until its session expires, 30 days after signing in, or is ended.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(&self, state: Data<&State>, body: JsonBody<Renewal>) -> Answer<Tokens, Renew> {
        let token = body.0.token();
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        let found = sessions::of_refresh_token(&mut connection, &refresh::hash(&token)).await?;
        let session = found.ok_or(Error::InvalidToken("it is no refresh token of ours"))?;
        if session.status == "disabled" {
            return Err(Error::AccountDisabled.into());
        }
        if !session.alive || session.status != "active" {
            return Err(Error::InvalidToken("its session has ended").into());
        }
        let (access, expires_in) = state.sessions.issue(session.user_id, session.id)?;
        Ok(Reply::new(Tokens::new(&access, &token, expires_in)))
    }

    /// Signs out: ends the session of the access token
    ///
    /// All its tokens stop within 10 seconds everywhere.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: Caller, state: Data<&State>) -> Answer<Told, Listing> {
        ledger::commit(&state.pool, &LogoutWork { caller: &caller }).await?;
        state.sessions.forget(&[caller.session()]).await;
        Ok(Reply::new(Told::new("You are signed out.")))
    }
}

struct LogoutWork<'a> {
    caller: &'a Caller,
}

impl Work for LogoutWork<'_> {
    type Output = ();

    async fn run(&self, connection: &mut PgConnection) -> Result<()> {
        let id = self.caller.session();
        // Two requests at once: the second finds it done.
        if sessions::revoke(connection, id).await? {
            let action = Action {
                name: "session.end",
                resource: "session",
                id: Some(id.to_string()),
                before: None,
                after: None,
            };
            audit::record(connection, self.caller.actor(), &action).await?;
        }
        Ok(())
    }
}
