//! Settings of the connection to NATS.

use super::environment::{Environment, is_loopback};
use super::problems::Problems;
use async_nats::ServerAddr;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

const URL_DEFAULT: &str = "nats://127.0.0.1:4222";

/// Settings of the connection to NATS.
#[derive(clap::Args, Clone, Debug)]
pub struct NatsArgs {
    /// NATS server, as nats://host:port or nats://user:password@host:port; separate several with commas
    /// [default: nats://127.0.0.1:4222; for tiris-api none, and live streams poll the database every two seconds]
    #[arg(long, env = "NATS_URL", hide_env_values = true, value_name = "URL")]
    nats_url: Option<SecretString>,
    /// NATS credentials file (.creds), when the server requires one
    #[arg(long, env = "NATS_CREDENTIALS_FILE", value_name = "FILE")]
    nats_credentials_file: Option<PathBuf>,
}

/// Checked [`NatsArgs`].
#[derive(Clone)]
pub struct NatsConfig {
    /// Servers of one cluster; the login of the first that has one applies to all.
    pub servers: Vec<ServerAddr>,
    /// Credentials file, read at every connect.
    pub credentials_file: Option<PathBuf>,
}

impl std::fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without passwords.
        f.debug_list()
            .entries(self.servers.iter().map(ServerAddr::host))
            .finish_non_exhaustive()
    }
}

impl NatsArgs {
    /// Checks the settings and records every mistake.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<NatsConfig> {
        let urls = self.nats_url.as_ref().map(ExposeSecret::expose_secret);
        let mut servers = Vec::new();
        for server in urls.unwrap_or(URL_DEFAULT).split(',') {
            let Ok(address) = server.trim().parse() else {
                problems.add("NATS_URL", "must look like nats://host:port");
                continue;
            };
            check_server(&address, environment, problems);
            servers.push(address);
        }

        let credentials_file = self.nats_credentials_file.clone();
        if let Some(file) = credentials_file.as_ref().filter(|file| !file.is_file()) {
            let why = format_args!("{} is not a file", file.display());
            problems.add("NATS_CREDENTIALS_FILE", why);
        }

        Some(NatsConfig {
            servers,
            credentials_file,
        })
    }

    /// Like [`Self::check`], for a service that also runs without NATS; None when no server is given.
    pub fn check_optional(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<NatsConfig> {
        let urls = self.nats_url.as_ref()?;
        let is_given = !urls.expose_secret().trim().is_empty();
        is_given.then(|| self.check(environment, problems))?
    }
}

fn check_server(address: &ServerAddr, environment: Option<Environment>, problems: &mut Problems) {
    let host = address.host();
    let is_safe = matches!(address.scheme(), "tls" | "wss") || is_loopback(host);
    if environment.is_some_and(Environment::is_strict) && !is_safe {
        let why = "must be tls://host:port outside development, unless it is this machine";
        problems.add("NATS_URL", format_args!("{why} (host: {host:?})"));
    }

    // The client sends user and password as they stand in the URL, without decoding them.
    let parts = [address.username(), address.password()];
    if parts.into_iter().flatten().any(|part| part.contains('%')) {
        let why = "user and password may contain only letters, digits and -._~";
        problems.add("NATS_URL", why);
    }
}
