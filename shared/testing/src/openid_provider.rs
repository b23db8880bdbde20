//! A real OpenID provider on this machine with a sign-in form, for tests and development: its files, start and end.

use super::folders::dev_dir;
use super::port::on_free_port;
use super::process::Process;
use anyhow::{Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// From start until it answers, including the generation of its key.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const NODE: &str = "node";
const PROGRAM: &str = "provider.mjs";

/// The files in its folder, by name: the list of packages, pinned by hash, and the program.
pub const OPENID_PROVIDER_FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("openid_provider/package.json")),
    (
        "package-lock.json",
        include_str!("openid_provider/package-lock.json"),
    ),
    (PROGRAM, include_str!("openid_provider/provider.mjs")),
];

/// Settings of the provider and its one client.
#[derive(Clone, Debug, Default)]
pub struct OpenIdSettings {
    /// The port; None picks a free one.
    pub port: Option<u16>,
    /// Id of the client.
    pub client_id: String,
    /// Secret of the client.
    pub client_secret: String,
    /// Allowed redirect addresses after a sign-in.
    pub redirect_uris: Vec<String>,
    /// The log file; with None a scratch file, whose end is printed on drop.
    pub log: Option<PathBuf>,
}

/// A running provider, killed on drop; it stores nothing.
#[derive(Debug)]
pub struct OpenIdProvider {
    process: Process,
    issuer: String,
}

impl OpenIdProvider {
    /// Starts a provider on 127.0.0.1, which answers on return.
    pub async fn start(settings: &OpenIdSettings) -> Result<Self> {
        let folder = find_openid_provider()?;
        on_free_port(settings.port, async |port| {
            Self::launch(&folder, settings, port).await
        })
        .await
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

    /// Returns the issuer of its id tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the address of the sign-in form.
    #[must_use]
    pub fn auth_url(&self) -> String {
        self.url("/auth")
    }

    /// Returns the address that exchanges codes.
    #[must_use]
    pub fn token_url(&self) -> String {
        self.url("/token")
    }

    /// Returns the address of its public keys.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        self.url("/jwks")
    }

    /// Returns the process of the provider.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Stops the provider and waits for its end.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.terminate(STOP_LIMIT).await.map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }
}

/// Returns the folder of the provider, installed or not.
pub fn openid_provider_dir() -> Result<PathBuf> {
    Ok(dev_dir()?.join("bin/openid-provider"))
}

/// Returns the folder of an installed provider with the files of this build.
pub fn find_openid_provider() -> Result<PathBuf> {
    let folder = openid_provider_dir()?;
    let is_current = |(name, text): &(&str, &str)| {
        fs::read_to_string(folder.join(name)).is_ok_and(|installed| installed == *text)
    };
    ensure!(
        folder.join(NODE).is_file() && OPENID_PROVIDER_FILES.iter().all(is_current),
        "the OpenID provider is not installed in {}: run `make tools LOGIN=1`",
        folder.display()
    );
    Ok(folder)
}
