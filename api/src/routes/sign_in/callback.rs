//! `POST /v1/auth/callback`

use super::arrival::Arrival;
use super::provider::NamedProvider;
use super::refused;
use super::tokens::{SignedIn, Tokens};
use crate::auth::{anonymous, secret};
use crate::http::problem::code_of;
use crate::routes::prelude::*;
use crate::routes::users::object::User;
use poem::Request;
use tiris_domain::states::IdentityProvider;
use tiris_domain::value::Text;
use tiris_store::audit::Actor;
use tiris_store::error::SignInProblem;
use tiris_store::oauth::{self, PendingLogin};
use tiris_store::users;

/// End a login.
pub(crate) struct LoginCallback;

impl Policy for LoginCallback {
    const ACCESS: Access = Access::Public;
    const RATE: Option<Class> = Some(Class::Auth);
    const REFUSALS: &'static [Refusal] = &[
        (
            400,
            "`INVALID_PROVIDER`: unknown or not configured; `STATE_MISMATCH`: the login is unknown, used, expired, of another \
             provider, or its `login_verifier` is missing or wrong; `REDIRECT_URI_MISMATCH`: the login named another address; \
             `INVALID_AUTHORIZATION_CODE`: the provider does not know the code; `OAUTH_ERROR`: the provider refuses, or its \
             answer proves nothing; `INVALID_REQUEST`, `MISSING_FIELD`, `INVALID_VALUE`: `details` names the field and its \
             limit",
        ),
        FORBIDDEN,
        (
            409,
            "`EMAIL_EXISTS`: another account uses the e-mail address, and the provider does not vouch for it or knows that \
             account as somebody else",
        ),
        TOO_LARGE,
        NO_JSON,
        UNAVAILABLE,
        (
            504,
            "`UPSTREAM_TIMEOUT`: the provider did not answer in time",
        ),
    ];
}

/// A person who came back.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
struct Callback {
    /// As the login named it
    provider: Field<NamedProvider>,
    /// As the provider appended it to the address
    code: Field<Text<1, 2048>>,
    /// As the provider appended it to the address
    state: Field<Text<1, 256>>,
    /// As the login named it
    redirect_uri: Field<Text<1, 2048>>,
    /// The secret whose hash the login sent as `login_challenge`
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

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::SignIn")]
impl LoginCallback {
    /// Ends a login: tokens for the person who came back
    ///
    /// Who comes for the first time becomes a user with one paper trading. An existing account is tied by its e-mail
    /// address only when the provider says that the address is verified.
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

        let signed_in = sign_in(&state, &actor, provider, body.0).await;

        let outcome = match &signed_in {
            Ok(_) => "signed_in",
            Err(error) => code_of(error),
        };
        metrics::counter!("api_sign_ins_total", "provider" => provider.as_str(), "outcome" => outcome)
            .increment(1);
        if let Err(error) = &signed_in {
            refused::record(&state, &actor, provider, error).await;
        }
        Ok(signed_in?)
    }
}

/// Checks the login, asks the provider for the identity of the person, and begins their session.
async fn sign_in(
    state: &State,
    actor: &Actor,
    provider: IdentityProvider,
    callback: Callback,
) -> Result<Reply<SignedIn>> {
    let login = taken_login(state, provider, &callback).await?;
    let code = callback.code.0.into_string();
    let arrival = Arrival {
        identity: state.providers.identify(provider, code, &login).await?,
        actor,
    };
    let refresh = secret::make();

    Tx::run_public(state, async |mut tx: Tx| {
        let user = arrival.user(&mut tx).await?;
        let session = arrival
            .begin_session(&mut tx, user, &secret::hash(&refresh))
            .await?;
        let row = users::get(&mut *tx, user.id).await?;
        let access = state.sessions.issue(user.id, session)?;

        let tokens = Tokens::new(&access, &refresh);
        tx.finish(SignedIn::new(tokens, User::try_from(row)?)).await
    })
    .await
}

/// The login the callback ends. It is used up even when the callback is refused, so that nobody can try twice.
async fn taken_login(
    state: &State,
    provider: IdentityProvider,
    callback: &Callback,
) -> Result<PendingLogin> {
    let refused = |why: &str| Error::sign_in(SignInProblem::State, why);
    let mut connection = state.pool.acquire().await?;
    let login = oauth::take(&mut connection, callback.state.0.as_str()).await?;
    let login = login.ok_or_else(|| {
        refused("no login waits under this state: it is unknown, used or expired")
    })?;

    if login.provider != provider {
        return Err(refused("the login was begun at another provider"));
    }
    if login.redirect_uri != callback.redirect_uri.0.as_str() {
        let why = "redirect_uri is not the one the login was begun with";
        return Err(Error::sign_in(SignInProblem::RedirectUri, why));
    }
    // A verifier without a challenge means that the login was begun in another browser.
    let answers = match (&login.login_challenge, &callback.login_verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => secret::answers(verifier.0.as_str(), challenge),
        (Some(_), None) | (None, Some(_)) => false,
    };
    if !answers {
        return Err(refused(
            "login_verifier is not the secret whose hash the login was begun with",
        ));
    }
    Ok(login)
}
