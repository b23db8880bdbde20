//! `POST /v1/auth/login`

use super::challenge::Challenge;
use super::provider::NamedProvider;
use crate::auth::secret;
use crate::routes::prelude::*;
use secrecy::ExposeSecret;
use tiris_domain::states::IdentityProvider;
use tiris_domain::value::Text;
use tiris_store::error::SignInProblem;
use tiris_store::oauth::{self, PendingLogin};

/// Begin a login.
pub(crate) struct Login;

impl Policy for Login {
    const ACCESS: Access = Access::Public;
    const RATE: Option<Class> = Some(Class::Auth);
    const REFUSALS: &'static [Refusal] = &[
        (
            400,
            "`INVALID_PROVIDER`: unknown or not configured; `REDIRECT_URI_MISMATCH`: not one of the configured addresses; \
             `INVALID_REQUEST`, `MISSING_FIELD`, `INVALID_VALUE`: `details` names the field and its limit",
        ),
        TOO_LARGE,
        NO_JSON,
        UNAVAILABLE,
    ];
}

/// A login to be begun.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none, rename = "Login")]
struct LoginToBegin {
    /// Who vouches for the person
    provider: Field<NamedProvider>,
    /// Where the provider sends the person back to: exactly one of the configured addresses
    redirect_uri: Field<Text<1, 2048>>,
    /// base64url SHA-256 of a secret that stays in the browser; the callback must then send the secret
    login_challenge: Option<Field<Challenge>>,
}

impl Example for LoginToBegin {
    fn example() -> Self {
        let challenge = Challenge::from_static("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        Self {
            provider: Field(IdentityProvider::Google.into()),
            redirect_uri: Field(Text::from_static("https://tiris.ai/auth/callback")),
            login_challenge: Some(Field(challenge)),
        }
    }
}

/// Where to go on.
#[derive(Object, Serialize)]
#[oai(rename = "Begun")]
struct BegunLogin {
    /// Send the person there
    auth_url: String,
    /// Comes back with the person; compare it before sending it to the callback
    state: String,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::SignIn")]
impl Login {
    /// Begins a login: where to send the person
    ///
    /// The login can be ended once, within 10 minutes. A client that sends `login_challenge` binds it to the browser
    /// that keeps the secret; that is advised to all.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        _caller: Anyone<Self>,
        state: Data<&State>,
        body: JsonBody<LoginToBegin>,
    ) -> Answer<BegunLogin, Self> {
        let wanted = body.0;
        let provider = wanted.provider.0.known()?;
        let redirect_uri = wanted.redirect_uri.0.into_string();
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
            provider,
            pkce_verifier: departure.pkce_verifier,
            nonce: departure.nonce,
            redirect_uri,
            login_challenge: wanted.login_challenge.map(|given| given.0.into_string()),
        };
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        oauth::begin(&mut connection, &login).await?;

        Ok(Reply::done(BegunLogin {
            auth_url: departure.url,
            state: login.state,
        }))
    }
}
