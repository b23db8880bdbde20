//! Google, or another OpenID Connect provider at the configured URLs: code flow with PKCE and nonce.

use super::http::ProviderHttp;
use super::id_token::{self, Expected};
use super::jwks::Jwks;
use super::{Departure, refused};
use crate::auth::secret;
use crate::settings::GoogleSettings;
use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
    BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken,
    EndpointNotSet, EndpointSet, ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse, TokenUrl,
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;
use tiris_domain::states::IdentityProvider;
use tiris_store::error::{Error, Result, SignInProblem};
use tiris_store::oauth::{Identity, PendingLogin};

const SCOPES: [&str; 3] = ["openid", "email", "profile"];

/// The field that OpenID Connect adds to the response of OAuth.
#[derive(Debug, Deserialize, Serialize)]
struct WithIdToken {
    id_token: Option<String>,
}

impl ExtraTokenFields for WithIdToken {}

type OAuthClient<Auth, Token> = Client<
    BasicErrorResponse,
    StandardTokenResponse<WithIdToken, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    Auth,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    Token,
>;

pub(super) struct Google {
    settings: GoogleSettings,
    http: ProviderHttp,
    pub(super) jwks: Arc<Jwks>,
}

impl Google {
    pub(super) fn new(settings: GoogleSettings, http: ProviderHttp) -> Self {
        let jwks = Arc::new(Jwks::new(settings.jwks_url.clone(), http.clone()));
        Self {
            settings,
            http,
            jwks,
        }
    }

    fn client(&self, redirect_uri: &str) -> Result<OAuthClient<EndpointSet, EndpointSet>> {
        let settings = &self.settings;
        let redirect = RedirectUrl::new(redirect_uri.to_owned())
            .map_err(|error| Error::Internal(error.into()))?;
        let id = ClientId::new(settings.client_id.clone());
        let secret = ClientSecret::new(settings.client_secret.expose_secret().to_owned());

        Ok(OAuthClient::<EndpointNotSet, EndpointNotSet>::new(id)
            .set_client_secret(secret)
            .set_auth_type(AuthType::RequestBody)
            .set_auth_uri(AuthUrl::from_url(settings.auth_url.clone()))
            .set_token_uri(TokenUrl::from_url(settings.token_url.clone()))
            .set_redirect_uri(redirect))
    }

    /// Starts a login.
    pub(super) fn depart(&self, state: &str, redirect_uri: &str) -> Result<Departure> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = secret::make();
        let client = self.client(redirect_uri)?;

        let request = client
            .authorize_url(|| CsrfToken::new(state.to_owned()))
            .add_scopes(SCOPES.map(|scope| Scope::new(scope.to_owned())))
            .add_extra_param("nonce", nonce.expose_secret())
            .set_pkce_challenge(challenge);
        let (url, _) = request.url();

        Ok(Departure {
            url: url.into(),
            pkce_verifier: Some(verifier.into_secret()),
            nonce: Some(nonce.expose_secret().to_owned()),
        })
    }

    /// Exchanges a code for the identity of its user.
    pub(super) async fn identify(&self, code: String, login: &PendingLogin) -> Result<Identity> {
        let (Some(verifier), Some(nonce)) = (&login.pkce_verifier, &login.nonce) else {
            let why = "a login at Google is stored without verifier and nonce";
            return Err(Error::internal(why));
        };

        let token = self.exchange(code, verifier, &login.redirect_uri).await?;
        let id = id_token::key_id(&token)?;
        let key = self.jwks.key(id.as_deref(), Instant::now()).await?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            audience: &self.settings.client_id,
            nonce,
        };
        let claims = id_token::check(&token, &key, &expected)?;
        if claims.sub.is_empty() {
            return Err(refused("google returns an empty sub"));
        }

        Ok(Identity {
            provider: IdentityProvider::Google,
            email_verified: claims.is_email_verified(),
            subject: claims.sub,
            openid: None,
            unionid: None,
            email: claims.email,
            name: claims.name,
            avatar: claims.picture,
        })
    }

    /// Exchanges a code for an id token.
    async fn exchange(&self, code: String, verifier: &str, redirect_uri: &str) -> Result<String> {
        let response = self
            .client(redirect_uri)?
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()))
            .request_async(&self.http)
            .await
            .map_err(explain)?;

        let token = response.extra_fields().id_token.clone();
        token.ok_or_else(|| refused("google returns no id_token"))
    }
}

fn explain(error: RequestTokenError<Error, BasicErrorResponse>) -> Error {
    let response = match error {
        RequestTokenError::Request(error) => return error,
        RequestTokenError::ServerResponse(response) => response,
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            return refused("google returns a malformed response");
        }
    };

    match response.error() {
        BasicErrorResponseType::InvalidGrant => Error::sign_in(
            SignInProblem::Code,
            "google does not accept the code: it is unknown, used or expired",
        ),
        BasicErrorResponseType::Extension(_) => {
            refused("google returns an error outside the protocol")
        }
        // Only the error code, whose values the protocol fixes, is safe to repeat.
        other => refused(format!("google returns {other}")),
    }
}
