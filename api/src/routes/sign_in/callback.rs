//! `POST /v1/auth/callback`

use super::arrival::Arrival;
use super::provider::NamedProvider;
use super::tokens::{SignedIn, Tokens};
use crate::auth::rotating::RotatingToken;
use crate::auth::{anonymous, secret};
use crate::http::problem::code_of;
use crate::routes::prelude::*;
use crate::routes::users::object::User;
use poem::Request;
use secrecy::SecretString;
use sqlx::PgConnection;
use std::sync::OnceLock;
use tiris_domain::states::IdentityProvider;
use tiris_store::audit::Actor;
use tiris_store::error::SignInProblem;
use tiris_store::oauth::{self, PendingLogin};
use tiris_store::sessions::{self, NewSession, Renewal};
use tiris_store::users;

operation!(LoginCallback: Public, Auth, [
    (
        400,
        "`INVALID_PROVIDER`: the provider is unknown or not configured; `STATE_MISMATCH`: the \
         login is unknown, expired, used before or of another provider, or `login_verifier` is \
         missing or wrong; `REDIRECT_URI_MISMATCH`: the login was started with another address; \
         `INVALID_AUTHORIZATION_CODE`: the provider does not know the code; `OAUTH_ERROR`: the \
         provider refuses the login or returns an invalid identity; `INVALID_REQUEST`, \
         `MISSING_FIELD`, `INVALID_VALUE`: `details` names the field and its limit",
    ),
    FORBIDDEN,
    (
        409,
        "`EMAIL_EXISTS`: another account uses the e-mail address, and the provider has not \
         verified the address or another of its users is linked to that account",
    ),
    UNAVAILABLE,
    (504, "`UPSTREAM_TIMEOUT`: the provider does not respond in time"),
]);

/// The return of a user from the identity provider.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
struct Callback {
    /// Provider of the login: `google` or `wechat`
    provider: Field<NamedProvider>,
    /// Query parameter `code` that the provider appended to `redirect_uri`
    code: Field<Text<1, 2048>>,
    /// Query parameter `state` that the provider appended to `redirect_uri`
    state: Field<Text<1, 256>>,
    /// The `redirect_uri` of the login
    redirect_uri: Field<Text<1, 2048>>,
    /// The secret behind the `login_challenge` of the login; required if the login had one
    login_verifier: Option<Field<Text<1, 2048>>>,
}

impl Example for Callback {
    fn example() -> Self {
        let verifier = Text::from_static("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        Self {
            provider: Field(IdentityProvider::Google.into()),
            code: Field(Text::from_static("4/0AX4XfWh")),
            state: Field(Text::from_static(
                "J1k9xq3yR0m7oGm1b1qTn0m8cX2b7Q5u9wB4eZ6tYvA",
            )),
            redirect_uri: Field(Text::from_static("https://tiris.ai/auth/callback")),
            login_verifier: Some(Field(verifier)),
        }
    }
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl LoginCallback {
    /// Complete a login and get tokens
    ///
    /// Exchanges the code of the provider for an access token and a refresh token. The first login creates a user with
    /// one paper trading. An existing account with the same e-mail address is linked only if the provider has
    /// verified the address. A login can be completed once; a failed attempt uses it up too.
    #[oai(path = "/callback", method = "post", operation_id = "loginCallback")]
    async fn callback(
        &self,
        _caller: Anyone<Self>,
        request: &Request,
        state: Data<&State>,
        body: JsonBody<Callback>,
    ) -> Answer<SignedIn, Self> {
        let actor = anonymous(request);
        let provider = body.0.provider.0.known()?;

        let known = OnceLock::new();
        let signed_in = sign_in(&state, &actor, &known, provider, body.0).await;

        let outcome = match &signed_in {
            Ok(_) => "signed_in",
            Err(error) => code_of(error),
        };
        metrics::counter!("api_sign_ins_total", "provider" => provider.as_str(), "outcome" => outcome)
            .increment(1);
        if let Err(error) = &signed_in {
            let actor = Actor {
                user: known.get().copied(),
                ..actor
            };
            record_refusal(&state, &actor, provider, error).await;
        }
        Ok(signed_in?)
    }
}

/// Checks the login, gets the identity from the provider, and begins a session.
async fn sign_in(
    state: &State,
    actor: &Actor,
    known: &OnceLock<UserId>,
    provider: IdentityProvider,
    callback: Callback,
) -> Result<Reply<SignedIn>> {
    let login = taken_login(state, provider, &callback).await?;
    let code = callback.code.0.into_string();
    let arrival = Arrival {
        identity: state.providers.identify(provider, code, &login).await?,
        actor,
        known,
    };

    Tx::run_public(state, async |mut tx: Tx| {
        let user = arrival.user(&mut tx).await?;
        let (session, refresh) = begin(&mut tx, state, actor, user.id, login.rotates).await?;
        let row = users::get(&mut *tx, user.id).await?;
        let access = state.sessions.issue(user.id, session)?;

        let (actor, action) = arrival.begun(user, session);
        let tx = tx.audited(&actor, &action).await?;
        tx.finish(SignedIn {
            tokens: Tokens::new(&access, &refresh),
            user: User::try_from(row)?,
        })
        .await
    })
    .await
}

/// Begins a session, and returns it with its refresh token.
async fn begin(
    connection: &mut PgConnection,
    state: &State,
    actor: &Actor,
    user: UserId,
    rotates: bool,
) -> Result<(Uuid, SecretString)> {
    let fixed = secret::make();
    let hash = secret::hash(&fixed);
    let new = NewSession {
        user,
        renewal: if rotates {
            Renewal::Rotating
        } else {
            Renewal::Fixed(&hash)
        },
        agent: actor.agent.as_deref(),
        ip: actor.ip.as_deref(),
    };
    let session = sessions::begin(connection, new).await?;

    let first = RotatingToken {
        session,
        generation: 0,
    };
    let refresh = if rotates {
        first.seal(&state.secrets.fingerprints)
    } else {
        fixed
    };
    Ok((session, refresh))
}

/// Takes the login that the callback completes. A refused callback uses it up too, so that it cannot be tried twice.
async fn taken_login(
    state: &State,
    provider: IdentityProvider,
    callback: &Callback,
) -> Result<PendingLogin> {
    let refused = |why: &str| Error::sign_in(SignInProblem::State, why);
    let mut connection = state.pool.acquire().await?;
    let login = oauth::take(&mut connection, callback.state.0.as_str()).await?;
    let login = login.ok_or_else(|| {
        refused("no pending login has this state: it is unknown, used or expired")
    })?;

    if login.provider != provider {
        return Err(refused("the login was started with another provider"));
    }
    if login.redirect_uri != callback.redirect_uri.0.as_str() {
        let why = "redirect_uri must be the one the login was started with";
        return Err(Error::sign_in(SignInProblem::RedirectUri, why));
    }
    // A verifier without a challenge means that another browser started the login.
    let answers = match (&login.login_challenge, &callback.login_verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => secret::answers(verifier.0.as_str(), challenge),
        (Some(_), None) | (None, Some(_)) => false,
    };
    if !answers {
        return Err(refused(
            "login_verifier must be the secret behind the login_challenge of the login",
        ));
    }
    Ok(login)
}

/// Records a refused login in the audit trail, within a limit. The limit of an address bounds the entries one client can
/// cause, this one those of all clients together.
async fn record_refusal(state: &State, actor: &Actor, provider: IdentityProvider, error: &Error) {
    if error.is_transient() || !state.refusals_kept.allows() {
        return;
    }

    let action = Action {
        name: ActionName::SessionRefuse,
        resource: "session",
        id: None,
        before: None,
        after: Some(json!({"provider": provider, "code": code_of(error)})),
    };
    let recorded = async {
        let mut connection = state.pool.acquire().await?;
        audit::record(&mut connection, actor, &action).await
    };
    match recorded.await {
        Ok(recorded) => recorded.log(),
        Err(error) => tracing::error!(
            error = &error as &dyn std::error::Error,
            "cannot record a refused login in the audit trail"
        ),
    }
}
