//! Signing in by hand: the settings that connect the API, the local provider and the redirect page, and instructions.

use crate::environment::{Environment, REDIRECT_URI};
use crate::folder::Folder;
use crate::ports::Ports;
use anyhow::{Result, ensure};
use tiris_testing::{OpenIdProvider, OpenIdSettings};

const CLIENT_ID: &str = "tiris-dev";
/// Not a secret: the provider listens on this machine only and accepts any password.
const CLIENT_SECRET: &str = "local";

/// Fails when `login` is wanted and the running stack has no provider.
pub(crate) fn check(login: bool, running: &Environment) -> Result<()> {
    ensure!(
        !login || !running.get(REDIRECT_URI).is_empty(),
        "the running stack has no OpenID provider: `make down` first, then start it with LOGIN=1"
    );
    Ok(())
}

pub(crate) fn settings(folder: &Folder, ports: &Ports) -> OpenIdSettings {
    OpenIdSettings {
        port: Some(ports.provider),
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        redirect_uris: vec![ports.redirect_uri()],
        log: Some(folder.log("openid-provider")),
    }
}

/// Returns the settings of the API.
pub(crate) fn for_api(provider: &OpenIdProvider, ports: &Ports) -> [(&'static str, String); 7] {
    [
        ("TIRIS_REDIRECT_URIS", ports.redirect_uri()),
        ("TIRIS_GOOGLE_CLIENT_ID", CLIENT_ID.to_owned()),
        ("TIRIS_GOOGLE_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
        ("TIRIS_GOOGLE_ISSUER", provider.issuer().to_owned()),
        ("TIRIS_GOOGLE_AUTH_URL", provider.auth_url()),
        ("TIRIS_GOOGLE_TOKEN_URL", provider.token_url()),
        ("TIRIS_GOOGLE_JWKS_URL", provider.jwks_url()),
    ]
}

/// Returns the steps of a login by hand; empty without the provider.
pub(crate) fn instructions(environment: &Environment) -> String {
    let api = environment.get("API_URL");
    let redirect_uri = environment.get(REDIRECT_URI);
    if redirect_uri.is_empty() {
        return String::new();
    }

    format!(
        "\n  To sign in by hand, in Swagger UI ({api}/docs):\n\
         \n  1. POST /v1/auth/login with\n\
         \n     {{\"provider\": \"google\", \"redirect_uri\": \"{redirect_uri}\"}}\n\
         \n  2. Open the auth_url of the response in this browser. The local provider accepts any e-mail address and any\n     \
         password; addresses that begin with \"unverified\" count as not verified. Continue.\n  \
         3. The page you return to shows what to send to POST /v1/auth/callback.\n  \
         4. Paste the access_token of its response behind \"Authorize\", and try GET /v1/users/me.\n"
    )
}
