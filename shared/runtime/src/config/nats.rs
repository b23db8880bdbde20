//! How to reach NATS.

use super::environment::Environment;
use super::problems::Problems;
use super::secret_text::SecretText;
use super::wire;
use async_nats::ServerAddr;
use secrecy::ExposeSecret;
use std::path::{Path, PathBuf};

/// How to reach NATS.
#[derive(clap::Args, Clone, Debug)]
pub struct NatsArgs {
    /// NATS server, as nats://host:port or nats://user:password@host:port; several are separated by commas
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    #[arg(default_value = "nats://127.0.0.1:4222", value_name = "URL")]
    nats_url: SecretText,
    /// File with the NATS credentials (a .creds file), when the server asks for them
    #[arg(long, env = "NATS_CREDENTIALS_FILE", value_name = "FILE")]
    nats_credentials_file: Option<PathBuf>,
}

/// How to reach NATS, for a service that also runs without it.
#[derive(clap::Args, Clone, Debug)]
pub struct OptionalNatsArgs {
    /// NATS server that wakes live streams, as nats://user:password@host:port; several are separated by commas. Without it streams look
    /// into the database every two seconds
    #[arg(long, env = "NATS_URL", hide_env_values = true, value_name = "URL")]
    nats_url: Option<SecretText>,
    /// File with the NATS credentials (a .creds file), when the server asks for them
    #[arg(long, env = "NATS_CREDENTIALS_FILE", value_name = "FILE")]
    nats_credentials_file: Option<PathBuf>,
}

/// Checked [`NatsArgs`].
#[derive(Clone)]
pub struct NatsConfig {
    /// Servers of one cluster; the first that names a user and a password does so for all.
    pub servers: Vec<ServerAddr>,
    /// Credentials file, read at every connect.
    pub credentials_file: Option<PathBuf>,
}

impl std::fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.servers.iter().map(ServerAddr::host))
            .finish_non_exhaustive()
    }
}

impl NatsArgs {
    /// Checks the settings, noting every mistake.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<NatsConfig> {
        let file = self.nats_credentials_file.as_deref();
        Some(check(&self.nats_url, file, environment, problems))
    }
}

impl OptionalNatsArgs {
    /// Checks the settings, noting every mistake; none when no server is named.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<NatsConfig> {
        let urls = self.nats_url.as_ref().filter(|urls| !urls.is_blank())?;
        let file = self.nats_credentials_file.as_deref();
        Some(check(urls, file, environment, problems))
    }
}

fn check(
    urls: &SecretText,
    credentials_file: Option<&Path>,
    environment: Option<Environment>,
    problems: &mut Problems,
) -> NatsConfig {
    let mut servers = Vec::new();
    for server in urls.secret().expose_secret().split(',') {
        match server.trim().parse() {
            Ok(address) => {
                wire::check_nats(&address, environment, problems);
                check_login(&address, problems);
                servers.push(address);
            }
            Err(_) => problems.add("NATS_URL", "must look like nats://host:port"),
        }
    }

    if let Some(file) = credentials_file.filter(|file| !file.is_file()) {
        let why = format_args!("{} is no file", file.display());
        problems.add("NATS_CREDENTIALS_FILE", why);
    }

    NatsConfig {
        servers,
        credentials_file: credentials_file.map(Path::to_owned),
    }
}

/// The client sends user and password as they stand in the URL, so they must need no encoding there.
fn check_login(address: &ServerAddr, problems: &mut Problems) {
    let parts = [address.username(), address.password()];
    if parts.into_iter().flatten().any(|part| part.contains('%')) {
        let why = "user and password may hold only letters, digits and any of -._~";
        problems.add("NATS_URL", why);
    }
}
