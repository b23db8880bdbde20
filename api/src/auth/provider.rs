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
use poem_openapi::Enum;
use tiris_runtime::config::Environment;
use tiris_runtime::health::CheckResult;
use tiris_store::error::{Error, Result, SignInProblem};
use tiris_store::oauth::{Identity, PendingLogin};
use wechat::Wechat;

/// Who vouches for a person.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
#[oai(rename_all = "snake_case")]
pub(crate) enum Provider {
    Google,
    Wechat,
}

impl Provider {
    /// All of them, by name.
    pub(crate) const NAMES: [(&'static str, Self); 2] =
        [("google", Self::Google), ("wechat", Self::Wechat)];

    /// Name in requests and in the database.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Wechat => "wechat",
        }
    }
}

/// The providers of this deployment.
pub(crate) struct Providers {
    google: Option<Google>,
    wechat: Option<Wechat>,
    offered: Vec<String>,
    redirect_uris: Vec<String>,
}

impl Providers {
    pub(crate) fn new(settings: &ProviderSettings, http: &Outgoing) -> Self {
        let is_offered = |name: &str| settings.offered.iter().any(|offered| offered == name);
        let google = settings.google.clone().filter(|_| is_offered("google"));
        let wechat = settings.wechat.clone().filter(|_| is_offered("wechat"));
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
        provider: Provider,
        state: &str,
        redirect_uri: &str,
    ) -> Result<Departure> {
        match provider {
            Provider::Google => self.google()?.depart(state, redirect_uri),
            Provider::Wechat => Ok(self.wechat()?.depart(state, redirect_uri)),
        }
    }

    /// Asks the provider whose code it is.
    pub(crate) async fn identify(
        &self,
        provider: Provider,
        code: String,
        login: &PendingLogin,
    ) -> Result<Identity> {
        match provider {
            Provider::Google => self.google()?.identify(code, login).await,
            Provider::Wechat => self.wechat()?.identify(&code).await,
        }
    }

    fn google(&self) -> Result<&Google> {
        let google = self.google.as_ref();
        google.ok_or_else(|| missing(Provider::Google))
    }

    fn wechat(&self) -> Result<&Wechat> {
        let wechat = self.wechat.as_ref();
        wechat.ok_or_else(|| missing(Provider::Wechat))
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

fn missing(provider: Provider) -> Error {
    let variables = match provider {
        Provider::Google => "TIRIS_GOOGLE_CLIENT_ID and TIRIS_GOOGLE_CLIENT_SECRET",
        Provider::Wechat => "TIRIS_WECHAT_APP_ID and TIRIS_WECHAT_APP_SECRET",
    };
    let why = format!(
        "{} is not configured here: its operator sets {variables}",
        provider.name()
    );
    Error::sign_in(SignInProblem::UnknownProvider, why)
}
