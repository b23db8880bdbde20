//! Identity providers: where a login begins, and who came back.
//!
//! Owns: which providers there are and how each is asked. Must not know: users, sessions.

mod departure;
mod google;
mod http;
mod id_token;
mod jwks;
mod wechat;

pub(crate) use departure::Departure;

use crate::outgoing::Outgoing;
use crate::settings::ProviderSettings;
use google::Google;
use tiris_domain::states::IdentityProvider;
use tiris_runtime::config::Environment;
use tiris_runtime::health::CheckResult;
use tiris_store::error::{Error, Result, SignInProblem};
use tiris_store::oauth::{Identity, PendingLogin};
use wechat::Wechat;

/// The providers of this deployment.
pub(crate) struct Providers {
    google: Option<Google>,
    wechat: Option<Wechat>,
    offered: Vec<String>,
    redirect_uris: Vec<String>,
}

impl Providers {
    pub(crate) fn new(settings: &ProviderSettings, http: &Outgoing) -> Self {
        let is_offered = |provider: IdentityProvider| {
            let mut offered = settings.offered.iter();
            offered.any(|offered| offered == provider.as_str())
        };
        let google = settings.google.clone();
        let google = google.filter(|_| is_offered(IdentityProvider::Google));
        let wechat = settings.wechat.clone();
        let wechat = wechat.filter(|_| is_offered(IdentityProvider::Wechat));
        Self {
            google: google.map(|settings| Google::new(settings, http.clone())),
            wechat: wechat.map(|settings| Wechat::new(settings, http.clone())),
            offered: settings.offered.clone(),
            redirect_uris: settings.redirect_uris.clone(),
        }
    }

    /// Whether a login may come back to this address.
    pub(crate) fn may_return_to(&self, redirect_uri: &str) -> bool {
        self.redirect_uris.iter().any(|known| known == redirect_uri)
    }

    /// Begins a login.
    pub(crate) fn depart(
        &self,
        provider: IdentityProvider,
        state: &str,
        redirect_uri: &str,
    ) -> Result<Departure> {
        match provider {
            IdentityProvider::Google => self.google()?.depart(state, redirect_uri),
            IdentityProvider::Wechat => Ok(self.wechat()?.depart(state, redirect_uri)),
        }
    }

    /// Asks the provider whose code it is.
    pub(crate) async fn identify(
        &self,
        provider: IdentityProvider,
        code: String,
        login: &PendingLogin,
    ) -> Result<Identity> {
        match provider {
            IdentityProvider::Google => self.google()?.identify(code, login).await,
            IdentityProvider::Wechat => self.wechat()?.identify(&code).await,
        }
    }

    fn google(&self) -> Result<&Google> {
        let google = self.google.as_ref();
        google.ok_or_else(|| missing(IdentityProvider::Google))
    }

    fn wechat(&self) -> Result<&Wechat> {
        let wechat = self.wechat.as_ref();
        wechat.ok_or_else(|| missing(IdentityProvider::Wechat))
    }

    /// For readiness: which of the offered providers are configured. Only in production must all be.
    pub(crate) fn check(&self, environment: Environment) -> CheckResult {
        let is_configured = |name: &str| match name {
            "google" => self.google.is_some(),
            _ => self.wechat.is_some(),
        };
        let tell = |name: &String| {
            let not = if is_configured(name) { "" } else { "not " };
            format!("{name} {not}configured")
        };
        let told = match self.offered.iter().map(tell).collect::<Vec<_>>() {
            told if told.is_empty() => "no provider is offered".to_owned(),
            told => told.join(", "),
        };

        let is_complete =
            !self.offered.is_empty() && self.offered.iter().all(|name| is_configured(name));
        if is_complete || environment == Environment::Dev {
            Ok(told)
        } else {
            Err(told)
        }
    }
}

fn missing(provider: IdentityProvider) -> Error {
    let variables = match provider {
        IdentityProvider::Google => "TIRIS_GOOGLE_CLIENT_ID and TIRIS_GOOGLE_CLIENT_SECRET",
        IdentityProvider::Wechat => "TIRIS_WECHAT_APP_ID and TIRIS_WECHAT_APP_SECRET",
    };
    let why = format!("{provider} is not configured here: its operator sets {variables}");
    Error::sign_in(SignInProblem::UnknownProvider, why)
}
