//! `POST /v1/auth/login`

use super::challenge::Challenge;
use super::provider::NamedProvider;
use crate::auth::secret;
use crate::routes::prelude::*;
use secrecy::ExposeSecret;
use tiris_domain::states::IdentityProvider;
use tiris_store::error::SignInProblem;
use tiris_store::oauth::{self, PendingLogin};

operation!(Login: Public, Auth, [
    (
        400,
        "`INVALID_PROVIDER`: the provider is unknown or not configured; `REDIRECT_URI_MISMATCH`: \
         the address is not configured; `INVALID_REQUEST`, `MISSING_FIELD`, `INVALID_VALUE`: \
         `details` names the field and its limit",
    ),
    UNAVAILABLE,
]);

/// A new login.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none, rename = "Login")]
struct LoginRequest {
    /// Identity provider: `google` or `wechat`
    provider: Field<NamedProvider>,
    /// Page that the provider sends the browser back to; must equal one of the addresses the service is configured with
    redirect_uri: Field<Text<1, 2048>>,
    /// SHA-256 of a random secret that the browser keeps, in base64url without padding; the callback must send the secret
    /// as `login_verifier`
    login_challenge: Option<Field<Challenge>>,
    /// Whether each refresh returns a new refresh token and uses up the old one, by default false; recommended for clients
    /// that store the new one each time
    rotate: Option<bool>,
}

impl Example for LoginRequest {
    fn example() -> Self {
        let challenge = Challenge::from_static("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        Self {
            provider: Field(IdentityProvider::Google.into()),
            redirect_uri: Field(Text::from_static("https://tiris.ai/auth/callback")),
            login_challenge: Some(Field(challenge)),
            rotate: None,
        }
    }
}

/// A started login.
#[derive(Object, Serialize)]
struct StartedLogin {
    /// Page of the identity provider; send the browser there
    auth_url: String,
    /// Random value that comes back with the browser; compare it before calling `POST /v1/auth/callback`
    state: String,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Login {
    /// Start a login
    ///
    /// Returns the page of the identity provider to send the browser to. The login must be completed once, within 10
    /// minutes, with `POST /v1/auth/callback`. Send a `login_challenge` to bind the login to the browser that starts it;
    /// this is recommended for all clients.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        _caller: Anyone<Self>,
        state: Data<&State>,
        body: JsonBody<LoginRequest>,
    ) -> Answer<StartedLogin, Self> {
        let wanted = body.0;
        let provider = wanted.provider.0.known()?;
        let redirect_uri = wanted.redirect_uri.0.into_string();
        if !state.providers.may_return_to(&redirect_uri) {
            let why = "redirect_uri must equal one of the addresses the service is configured with";
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
            rotates: wanted.rotate.unwrap_or(false),
        };
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        oauth::begin(&mut connection, &login).await?;

        Ok(Reply::done(StartedLogin {
            auth_url: departure.url,
            state: login.state,
        }))
    }
}
