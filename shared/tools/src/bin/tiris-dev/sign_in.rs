//! Signing in by hand: what connects the API, the local provider and the page a login comes back to.
//!
//! Owns: the client they agree on and what a person is told. Must not know: how they are started.

use crate::environment::Environment;
use crate::folder::Folder;
use crate::install::Extra;
use crate::ports::Ports;
use crate::redirect_page;
use anyhow::{Result, ensure};
use tiris_testing::{OpenIdProvider, OpenIdSettings};

const CLIENT_ID: &str = "tiris-dev";
/// No secret: the provider listens on this machine only and lets everybody be everybody.
const CLIENT_SECRET: &str = "local";

/// The name of the variable that tells where logins come back to; there is none without the provider.
pub(crate) const REDIRECT_URI: &str = "REDIRECT_URI";

/// Whether people can sign in by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignIn {
    Off,
    On,
}

impl From<SignIn> for Extra {
    fn from(sign_in: SignIn) -> Self {
        match sign_in {
            SignIn::Off => Self::Nothing,
            SignIn::On => Self::Provider,
        }
    }
}

impl SignIn {
    /// The flag of the command line that means it.
    pub(crate) fn as_flag(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::On => Some("--login"),
        }
    }

    /// Fails when the provider is wanted and the running stack has none.
    pub(crate) fn check(self, running: &Environment) -> Result<()> {
        ensure!(
            self == Self::Off || !running.get(REDIRECT_URI).is_empty(),
            "the running stack has no OpenID provider: `make down` first, then start it with LOGIN=1"
        );
        Ok(())
    }
}

pub(crate) fn redirect_uri(ports: &Ports) -> String {
    format!(
        "http://127.0.0.1:{}{}",
        ports.redirect_page,
        redirect_page::PATH
    )
}

pub(crate) fn provider(folder: &Folder, ports: &Ports) -> OpenIdSettings {
    OpenIdSettings {
        port: Some(ports.provider),
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        redirect_uris: vec![redirect_uri(ports)],
        log: Some(folder.log("openid-provider")),
    }
}

/// Settings of the API.
pub(crate) fn api(provider: &OpenIdProvider, ports: &Ports) -> [(&'static str, String); 7] {
    [
        ("TIRIS_REDIRECT_URIS", redirect_uri(ports)),
        ("TIRIS_GOOGLE_CLIENT_ID", CLIENT_ID.to_owned()),
        ("TIRIS_GOOGLE_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
        ("TIRIS_GOOGLE_ISSUER", provider.issuer().to_owned()),
        ("TIRIS_GOOGLE_AUTH_URL", provider.auth_url()),
        ("TIRIS_GOOGLE_TOKEN_URL", provider.token_url()),
        ("TIRIS_GOOGLE_JWKS_URL", provider.jwks_url()),
    ]
}

/// What a person does; empty without the provider.
pub(crate) fn instructions(environment: &Environment) -> String {
    let (api, redirect_uri) = (environment.get("API_URL"), environment.get(REDIRECT_URI));
    if redirect_uri.is_empty() {
        return String::new();
    }
    format!(
        "\n  To sign in by hand, in Swagger UI ({api}/docs):\n\
         \n  1. POST /v1/auth/login with\n\
         \n     {{\"provider\": \"google\", \"redirect_uri\": \"{redirect_uri}\"}}\n\
         \n  2. Open the auth_url of the answer in this browser. The local provider takes any e-mail address and any\n     \
         password; addresses that begin with \"unverified\" count as not verified. Continue.\n  \
         3. The page you come back to shows what to send to POST /v1/auth/callback.\n  \
         4. Paste the access_token of its answer behind \"Authorize\", and try GET /v1/users/me.\n"
    )
}
