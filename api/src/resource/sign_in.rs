//! Signing in and out.

mod arrive;
mod login;
mod refused;
mod tokens;

use super::refusals::{BeginLogin, EndLogin, Listing, Renew};
use super::{Message, Tag, User};
use crate::auth::{Caller, anonymous, secret};
use crate::body::JsonBody;
use crate::envelope::{Answer, Reply};
use crate::error::tell_domain;
use crate::ledger::{self, Work};
use crate::state::State;
use arrive::ArriveWork;
use login::{Begun, Callback, Login};
use poem::Request;
use poem::web::Data;
use poem_openapi::OpenApi;
use secrecy::ExposeSecret;
use sqlx::PgConnection;
use tiris_domain::ids::UserId;
use tiris_domain::states::UserStatus;
use tiris_store::audit::{self, Action, Actor};
use tiris_store::error::{Error, Result, SignInProblem};
use tiris_store::oauth::{self, PendingLogin};
use tiris_store::sessions;
use tokens::{Renewal, SignedIn, Tokens};
use uuid::Uuid;

/// Operations on sessions.
pub(crate) struct SignIn;

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::SignIn")]
impl SignIn {
    /// Begins a login: where to send the person
    ///
    /// The login can be ended once, within 10 minutes. A client that sends `login_challenge` binds it to the browser
    /// that keeps the secret; that is advised to all.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(&self, state: Data<&State>, body: JsonBody<Login>) -> Answer<Begun, BeginLogin> {
        let Login {
            provider,
            redirect_uri,
            login_challenge,
        } = body.0;
        if !state.providers.may_return_to(&redirect_uri) {
            let why = "redirect_uri must be one of the addresses the service is configured with, to the last character";
            return Err(Error::sign_in(SignInProblem::RedirectUri, why).into());
        }
        let secret = secret::make();
        let departure = state
            .providers
            .depart(provider, secret.expose_secret(), &redirect_uri)?;
        let login = PendingLogin {
            state: secret.expose_secret().to_owned(),
            provider: provider.name().to_owned(),
            pkce_verifier: departure.pkce_verifier,
            nonce: departure.nonce,
            redirect_uri,
            login_challenge,
        };
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        oauth::begin(&mut connection, &login).await?;
        Ok(Reply::new(Begun {
            auth_url: departure.url,
            state: login.state,
        }))
    }

    /// Ends a login: tokens for the person who came back
    ///
    /// Who comes for the first time becomes a user with one paper trading. An existing account is tied by its e-mail
    /// address only when the provider says that the address is verified.
    #[oai(path = "/callback", method = "post", operation_id = "loginCallback")]
    async fn callback(
        &self,
        request: &Request,
        state: Data<&State>,
        body: JsonBody<Callback>,
    ) -> Answer<SignedIn, EndLogin> {
        let (refresh, actor, provider) = (secret::make(), anonymous(request), body.0.provider);
        let arrived = arrive(&state, body.0, secret::hash(&refresh), actor.clone()).await;
        let outcome = arrived
            .as_ref()
            .map_or_else(|error| tell_domain(error).code, |_| "signed_in");
        metrics::counter!("api_sign_ins_total", "provider" => provider.name(), "outcome" => outcome)
            .increment(1);
        let (user, session) = match arrived {
            Ok(arrived) => arrived,
            Err(error) => {
                refused::keep(&state, &actor, provider, &error).await;
                return Err(error.into());
            }
        };
        let (access, expires_in) = state.sessions.issue(user, session)?;
        let user = User::load(&state.db, user.0).await?;
        Ok(Reply::new(SignedIn::new(
            Tokens::new(&access, &refresh, expires_in),
            user,
        )))
    }

    /// A new access token
    ///
    /// The refresh token stays valid until its session expires, 30 days after signing in, or is ended.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(&self, state: Data<&State>, body: JsonBody<Renewal>) -> Answer<Tokens, Renew> {
        let token = body.0.token();
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        let found = sessions::of_refresh_token(&mut connection, &secret::hash(&token)).await?;
        let session = found.ok_or(Error::InvalidToken("it is no refresh token of ours"))?;
        if session.status == UserStatus::Disabled {
            return Err(Error::AccountDisabled.into());
        }
        if !session.alive || session.status != UserStatus::Active {
            return Err(Error::InvalidToken("its session has ended").into());
        }
        let (access, expires_in) = state.sessions.issue(session.user_id, session.id)?;
        Ok(Reply::new(Tokens::new(&access, &token, expires_in)))
    }

    /// Signs out: ends the session of the access token
    ///
    /// All its tokens stop within 10 seconds everywhere.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: Caller, state: Data<&State>) -> Answer<Message, Listing> {
        ledger::commit(&state.pool, &LogoutWork { caller: &caller }).await?;
        state.sessions.forget(&[caller.session()]).await;
        Ok(Reply::new(Message::new("You are signed out.")))
    }
}

/// The user who came back, and the session that begins.
async fn arrive(
    state: &State,
    callback: Callback,
    refresh: [u8; 32],
    actor: Actor,
) -> Result<(UserId, Uuid)> {
    let login = taken(state, &callback).await?;
    let identity = state
        .providers
        .identify(callback.provider, callback.code, &login)
        .await?;
    ledger::commit(
        &state.pool,
        &ArriveWork {
            identity,
            refresh,
            actor,
        },
    )
    .await
}

/// The login the callback ends. It is used up even when the callback is refused, so that nobody can try twice.
async fn taken(state: &State, callback: &Callback) -> Result<PendingLogin> {
    let mut connection = state.pool.acquire().await?;
    let login = oauth::take(&mut connection, &callback.state).await?;
    let refused = |why: &str| Error::sign_in(SignInProblem::State, why);
    let login = login.ok_or_else(|| {
        refused("no login waits under this state: it is unknown, used or expired")
    })?;
    if login.provider != callback.provider.name() {
        return Err(refused("the login was begun at another provider"));
    }
    if login.redirect_uri != callback.redirect_uri {
        let why = "redirect_uri is not the one the login was begun with";
        return Err(Error::sign_in(SignInProblem::RedirectUri, why));
    }
    // A verifier nobody asked for tells that the login was begun in another browser.
    let answers = match (&login.login_challenge, callback.login_verifier.as_deref()) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => secret::answers(verifier, challenge),
        (Some(_), None) | (None, Some(_)) => false,
    };
    if !answers {
        return Err(refused(
            "login_verifier is not the secret whose hash the login was begun with",
        ));
    }
    Ok(login)
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
