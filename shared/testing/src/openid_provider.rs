//! A real OpenID provider on this machine, at which a person or a test signs in by a form.
//!
//! Owns: what is installed of it and where, its start and its end. Must not know: how it is installed, who signs in.

use super::place::dev_dir;
use super::port::on_free_port;
use super::process::Process;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// From start to an answer, making a key included.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const NODE: &str = "node";
const PROGRAM: &str = "provider.mjs";

/// What lies in its folder beside Node.js and the packages, by name: the packages, pinned by hash, and the program.
pub const OPENID_PROVIDER_FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("openid_provider/package.json")),
    (
        "package-lock.json",
        include_str!("openid_provider/package-lock.json"),
    ),
    (PROGRAM, include_str!("openid_provider/provider.mjs")),
];

/// Its one client, and where it runs.
#[derive(Clone, Debug, Default)]
pub struct OpenIdSettings {
    /// The port; a free one when `None`.
    pub port: Option<u16>,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// Where it may send people back to.
    pub redirect_uris: Vec<String>,
    /// Its log file; a scratch file when `None`, whose end is shown when it is dropped.
    pub log: Option<PathBuf>,
}

/// A running provider. Dropping it kills it; it keeps nothing.
#[derive(Debug)]
pub struct OpenIdProvider {
    process: Process,
    issuer: String,
}

impl OpenIdProvider {
    /// Starts one on 127.0.0.1 only; it answers on return.
    pub async fn start(settings: &OpenIdSettings) -> Result<Self> {
        let folder = find_openid_provider()?;
        let mut started = None;
        on_free_port(settings.port, async |port| {
            started = Some(Self::launch(&folder, settings, port).await?);
            Ok(())
        })
        .await?;
        started.context("the OpenID provider was not started")
    }

    async fn launch(folder: &Path, settings: &OpenIdSettings, port: u16) -> Result<Self> {
        let mut command = Process::command(folder.join(NODE))
            .name("the OpenID provider")
            .arg(folder.join(PROGRAM))
            .env("OPENID_PORT", port.to_string())
            .env("OPENID_CLIENT_ID", &settings.client_id)
            .env("OPENID_CLIENT_SECRET", &settings.client_secret)
            .env("OPENID_REDIRECT_URIS", settings.redirect_uris.join(","));
        if let Some(log) = &settings.log {
            command = command.log(log).show_log(false);
        }

        let mut provider = Self {
            process: command.spawn()?,
            issuer: format!("http://127.0.0.1:{port}"),
        };
        let document = provider.url("/.well-known/openid-configuration");
        provider
            .process
            .wait_until_healthy(&document, START_LIMIT)
            .await?;

        Ok(provider)
    }

    /// What its id tokens name as their issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where people sign in.
    #[must_use]
    pub fn auth_url(&self) -> String {
        self.url("/auth")
    }

    /// Where codes are exchanged.
    #[must_use]
    pub fn token_url(&self) -> String {
        self.url("/token")
    }

    /// Where its keys are.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        self.url("/jwks")
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends it and waits for the end.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.terminate(STOP_LIMIT).await.map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }
}

/// The folder of the provider, whether or not it is installed.
pub fn openid_provider_dir() -> Result<PathBuf> {
    Ok(dev_dir()?.join("bin/openid-provider"))
}

/// The folder of an installed provider that is as this build wants it.
pub fn find_openid_provider() -> Result<PathBuf> {
    let folder = openid_provider_dir()?;
    let as_wanted = |(name, text): &(&str, &str)| {
        fs::read_to_string(folder.join(name)).is_ok_and(|installed| installed == *text)
    };
    ensure!(
        folder.join(NODE).is_file() && OPENID_PROVIDER_FILES.iter().all(as_wanted),
        "the OpenID provider is not installed in {}: run `make tools LOGIN=1`",
        folder.display()
    );
    Ok(folder)
}
