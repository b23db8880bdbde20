//! The identity providers of this deployment: start a login, and identify the user who returns from it.
//!
//! Must not know: users, sessions.

mod google;
mod http;
mod id_token;
mod jwks;
mod wechat;

use crate::outgoing::Outgoing;
use crate::settings::ProviderSettings;
use google::Google;
use http::ProviderHttp;
use jwks::Jwks;
use std::collections::HashMap;
use std::sync::Arc;
use tiris_domain::states::IdentityProvider;
use tiris_runtime::config::Environment;
use tiris_runtime::health::CheckResult;
use tiris_store::error::{Error, Result, SignInProblem};
use tiris_store::oauth::{Identity, PendingLogin};
use wechat::Wechat;

pub(crate) struct Providers {
    configured: HashMap<IdentityProvider, Provider>,
    offered: Vec<IdentityProvider>,
    redirect_uris: Vec<String>,
}

enum Provider {
    Google(Box<Google>),
    Wechat(Box<Wechat>),
}

/// The start of a login: the URL to visit, and the secrets to check when the user comes back.
pub(crate) struct Departure {
    pub(crate) url: String,
    pub(crate) pkce_verifier: Option<String>,
    pub(crate) nonce: Option<String>,
}

impl Providers {
    pub(crate) fn new(settings: &ProviderSettings, outgoing: &Outgoing) -> Self {
        let mut configured = HashMap::new();
        for name in &settings.offered {
            let http = ProviderHttp {
                provider: name.as_str(),
                outgoing: outgoing.clone(),
            };
            let provider = match name {
                IdentityProvider::Google => settings.google.clone().map(|settings| {
                    let google = Google::new(settings, http);
                    Provider::Google(Box::new(google))
                }),
                IdentityProvider::Wechat => {
                    let settings = settings.wechat.clone();
                    settings.map(|settings| Provider::Wechat(Box::new(Wechat { settings, http })))
                }
            };
            configured.extend(provider.map(|provider| (*name, provider)));
        }

        Self {
            configured,
            offered: settings.offered.clone(),
            redirect_uris: settings.redirect_uris.clone(),
        }
    }

    /// Returns whether a login may come back to this address.
    pub(crate) fn may_return_to(&self, redirect_uri: &str) -> bool {
        self.redirect_uris.iter().any(|known| known == redirect_uri)
    }

    /// Starts a login.
    pub(crate) fn depart(
        &self,
        provider: IdentityProvider,
        state: &str,
        redirect_uri: &str,
    ) -> Result<Departure> {
        match self.find(provider)? {
            Provider::Google(google) => google.depart(state, redirect_uri),
            Provider::Wechat(wechat) => Ok(wechat.depart(state, redirect_uri)),
        }
    }

    /// Exchanges the code of a login for the identity of its user.
    pub(crate) async fn identify(
        &self,
        provider: IdentityProvider,
        code: String,
        login: &PendingLogin,
    ) -> Result<Identity> {
        match self.find(provider)? {
            Provider::Google(google) => google.identify(code, login).await,
            Provider::Wechat(wechat) => wechat.identify(&code).await,
        }
    }

    fn find(&self, name: IdentityProvider) -> Result<&Provider> {
        let variables = match name {
            IdentityProvider::Google => "TIRIS_GOOGLE_CLIENT_ID and TIRIS_GOOGLE_CLIENT_SECRET",
            IdentityProvider::Wechat => "TIRIS_WECHAT_APP_ID and TIRIS_WECHAT_APP_SECRET",
        };
        self.configured.get(&name).ok_or_else(|| {
            let why = format!("{name} is not configured here: its operator sets {variables}");
            Error::sign_in(SignInProblem::UnknownProvider, why)
        })
    }

    /// Returns the keys that sign the id tokens of Google; `None` when it is not configured.
    pub(crate) fn keys(&self) -> Option<Arc<Jwks>> {
        match self.configured.get(&IdentityProvider::Google)? {
            Provider::Google(google) => Some(Arc::clone(&google.jwks)),
            Provider::Wechat(_) => None,
        }
    }

    /// Lists which offered providers are configured. Outside development all of them must be.
    pub(crate) fn check(&self, environment: Environment) -> CheckResult {
        let mut is_complete = !self.offered.is_empty();
        let mut report = Vec::new();
        for provider in &self.offered {
            let is_configured = self.configured.contains_key(provider);
            is_complete &= is_configured;
            let not = if is_configured { "" } else { "not " };
            report.push(format!("{provider} {not}configured"));
        }

        let report = match report.as_slice() {
            [] => "no provider is offered: set TIRIS_PROVIDERS".to_owned(),
            report => report.join(", "),
        };
        if is_complete || environment == Environment::Dev {
            Ok(report)
        } else {
            Err(report)
        }
    }
}

/// Returns the error for a provider that refuses a login or returns something unexpected.
fn refused(why: impl Into<String>) -> Error {
    Error::sign_in(SignInProblem::Provider, why)
}
