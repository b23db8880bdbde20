//! Settings of the API, from command line or environment.
//!
//! Owns: names, defaults and checks. Must not know: what the settings are used for.

mod live;
mod protection;
mod providers;
mod replica;

pub use live::LiveSettings;
pub use protection::{ProtectionArgs, ProtectionSettings, RateSettings};
pub use providers::{GoogleSettings, ProviderArgs, ProviderSettings, WechatSettings};
pub use replica::ReplicaArgs;

use crate::auth::keys;
use crate::exchange::ExchangeSettings;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tiris_runtime::config::{
    ConfigError, DatabaseArgs, DatabaseConfig, Environment, OptionalNatsArgs, Problems,
    ServiceArgs, ServiceConfig, is_loopback,
};
use tiris_runtime::crypto::{EncryptionArgs, EncryptionConfig};

/// Where health and metrics are served unless told otherwise.
pub(crate) const ADMIN_LISTEN_DEFAULT: &str = "127.0.0.1:9464";
/// Where the signing key of a developer's machine lies unless told otherwise.
const DEV_KEY_FILE: &str = ".tiris/jwt.pem";
/// Longest time a request may take, in seconds.
const REQUEST_SECONDS_MAX: u32 = 300;
/// Longest time between not being ready and draining, in seconds.
const DRAIN_LEAD_SECONDS_MAX: u32 = 60;
/// In production; in development nobody spreads requests.
const DRAIN_LEAD_SECONDS_DEFAULT: u32 = 5;
/// The portal, the admin pages and the documentation, with their forms under development.
const CORS_ORIGINS_DEFAULT: &str = "https://tiris.ai,https://admin.tiris.ai,https://docs.tiris.ai,\
    https://dev.tiris.ai,https://dev.admin.tiris.ai,https://dev.docs.tiris.ai";

/// Where the keys are that sign access tokens.
#[derive(clap::Args, Clone, Debug)]
pub struct KeyArgs {
    /// Ed25519 key that signs access tokens, a PKCS#8 PEM file; several are separated by commas, the first one signs,
    /// all of them verify. Made when missing, but only with TIRIS_ENV=dev [default there: .tiris/jwt.pem]
    #[arg(long, env = "TIRIS_JWT_KEY_FILE", value_name = "FILE")]
    jwt_key_file: Option<String>,
}

impl KeyArgs {
    /// The files, noting the mistake when there is none.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<Vec<PathBuf>> {
        let named = self.jwt_key_file.as_deref().unwrap_or_default();
        let files: Vec<PathBuf> = named
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(PathBuf::from)
            .collect();
        if environment == Some(Environment::Production) {
            for file in files.iter().filter(|file| keys::is_for_development(file)) {
                let why = "was made for development: make another one with `tiris-api keys new`";
                problems.add(
                    "TIRIS_JWT_KEY_FILE",
                    format_args!("{} {why}", file.display()),
                );
            }
        }
        if !files.is_empty() {
            return Some(files);
        }
        match environment? {
            Environment::Dev => Some(vec![DEV_KEY_FILE.into()]),
            Environment::Production => {
                problems.add(
                    "TIRIS_JWT_KEY_FILE",
                    "is required in production: the file of an Ed25519 key (PKCS#8 PEM)",
                );
                None
            }
        }
    }
}

/// Settings of `tiris-api serve`.
#[derive(clap::Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address the API listens on. Port 0 picks a free one
    #[arg(
        long,
        env = "TIRIS_API_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "HOST:PORT"
    )]
    listen: String,
    /// Seconds a request may take before it is answered with 503 (1 to 300)
    #[arg(
        long,
        env = "TIRIS_REQUEST_SECONDS",
        default_value = "15",
        value_name = "SECONDS"
    )]
    request_seconds: String,
    /// Seconds between saying not ready and taking no more requests when told to stop (0 to 60): as long as whoever
    /// spreads the requests needs to notice. They come before TIRIS_SHUTDOWN_SECONDS. By default 5, with TIRIS_ENV=dev 0
    #[arg(long, env = "TIRIS_DRAIN_LEAD_SECONDS", value_name = "SECONDS")]
    drain_lead_seconds: Option<String>,
    /// Web origins that may call the API from a browser, separated by commas; with TIRIS_ENV=dev also every port of
    /// localhost
    #[arg(long, env = "TIRIS_CORS_ORIGINS", default_value = CORS_ORIGINS_DEFAULT, value_name = "ORIGINS")]
    cors_origins: String,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    encryption: EncryptionArgs,
    #[command(flatten)]
    exchanges: ExchangeArgs,
    #[command(flatten)]
    providers: ProviderArgs,
    #[command(flatten)]
    protection: ProtectionArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    replica: ReplicaArgs,
    #[command(flatten)]
    nats: OptionalNatsArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Checked [`ServeArgs`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long it goes on serving after it said that it is not ready.
    pub drain_lead: Duration,
    /// Web origins that may call from a browser, as `scheme://host[:port]`.
    pub cors_origins: Vec<String>,
    /// Files of the keys for access tokens; the first one signs.
    pub key_files: Vec<PathBuf>,
    /// What credentials are encrypted with.
    pub encryption: EncryptionConfig,
    /// Where the exchanges are.
    pub exchanges: ExchangeSettings,
    /// How people sign in.
    pub providers: ProviderSettings,
    /// What callers are held to.
    pub protection: ProtectionSettings,
    /// How to reach PostgreSQL.
    pub database: DatabaseConfig,
    /// How to reach the copy that older history is read from.
    pub replica: Option<DatabaseConfig>,
    /// How live streams are woken.
    pub live: LiveSettings,
    /// Environment, admin listener, log and shutdown.
    pub service: ServiceConfig,
}

impl ServeArgs {
    fn drain_lead(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<Duration> {
        let seconds = match &self.drain_lead_seconds {
            Some(text) => problems.parse_within(
                "TIRIS_DRAIN_LEAD_SECONDS",
                text,
                0,
                DRAIN_LEAD_SECONDS_MAX,
            )?,
            None if environment == Some(Environment::Dev) => 0,
            None => DRAIN_LEAD_SECONDS_DEFAULT,
        };
        Some(Duration::from_secs(u64::from(seconds)))
    }

    /// Checks all settings and reports every mistake at once.
    pub fn check(&self) -> Result<Settings, ConfigError> {
        let mut problems = Problems::default();
        let listen = problems.parse("TIRIS_API_LISTEN", &self.listen);
        let seconds = problems.parse_within(
            "TIRIS_REQUEST_SECONDS",
            &self.request_seconds,
            1,
            REQUEST_SECONDS_MAX,
        );
        let request_timeout = seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
        let environment = self.service.environment();
        let lead = self.drain_lead(environment, &mut problems);
        let live = LiveSettings::new(self.nats.check(environment, &mut problems));
        let service = self.service.check(ADMIN_LISTEN_DEFAULT, &mut problems);
        let cors_origins = origins(&self.cors_origins, environment, &mut problems);
        let database = self.database.check(environment, &mut problems);
        let replica = self
            .replica
            .check(database.as_ref(), environment, &mut problems);
        let key_files = self.keys.check(environment, &mut problems);
        let encryption = self.encryption.check(environment, &mut problems);
        let exchanges = self
            .exchanges
            .check(environment, request_timeout, &mut problems);
        let providers = self.providers.check(environment, &mut problems);
        let protection = self.protection.check(environment, &mut problems);
        let checked = || {
            Some(Settings {
                listen: listen?,
                request_timeout: request_timeout?,
                drain_lead: lead?,
                cors_origins,
                key_files: key_files?,
                encryption: encryption?,
                exchanges: exchanges?,
                providers: providers?,
                protection: protection?,
                database: database?,
                replica,
                live,
                service: service?,
            })
        };
        let checked = checked();
        problems.finish(checked)
    }
}

/// Where the exchanges are, and when they are asked.
#[derive(clap::Args, Clone, Debug)]
pub struct ExchangeArgs {
    /// Base address of Binance
    #[arg(
        long,
        env = "TIRIS_BINANCE_URL",
        default_value = "https://api.binance.com",
        value_name = "URL"
    )]
    binance_url: String,
    /// Base address of Kraken
    #[arg(
        long,
        env = "TIRIS_KRAKEN_URL",
        default_value = "https://api.kraken.com",
        value_name = "URL"
    )]
    kraken_url: String,
    /// Base address of Gate.io
    #[arg(
        long,
        env = "TIRIS_GATE_URL",
        default_value = "https://api.gateio.ws",
        value_name = "URL"
    )]
    gate_url: String,
    /// Seconds asking an exchange may take with all tries (1 to 60); never more than two thirds of TIRIS_REQUEST_SECONDS
    #[arg(
        long,
        env = "TIRIS_EXCHANGE_SECONDS",
        default_value = "10",
        value_name = "SECONDS"
    )]
    exchange_seconds: String,
    /// Whether the exchange is asked as soon as credentials are made or changed: on or off
    #[arg(
        long,
        env = "TIRIS_VERIFY_BINDINGS",
        default_value = "off",
        value_name = "WHEN"
    )]
    verify_bindings: String,
}

impl ExchangeArgs {
    /// Checks the settings, noting every mistake.
    fn check(
        &self,
        environment: Option<Environment>,
        request_timeout: Option<Duration>,
        problems: &mut Problems,
    ) -> Option<ExchangeSettings> {
        let is_safe =
            |url: &str| url.starts_with("https://") || environment == Some(Environment::Dev);
        let mut base = |name: &str, given: &str| {
            let url = given.trim().trim_end_matches('/').to_owned();
            let host = url
                .strip_prefix("https://")
                .or_else(|| url.strip_prefix("http://"));
            if host.is_none_or(str::is_empty)
                || !is_safe(&url)
                || url.contains(['?', '#', '@', ' '])
            {
                problems.add(
                    name,
                    format_args!("must look like https://host[:port] (given: {given:?})"),
                );
            }
            url
        };
        let binance_url = base("TIRIS_BINANCE_URL", &self.binance_url);
        let kraken_url = base("TIRIS_KRAKEN_URL", &self.kraken_url);
        let gate_url = base("TIRIS_GATE_URL", &self.gate_url);
        let seconds =
            problems.parse_within("TIRIS_EXCHANGE_SECONDS", &self.exchange_seconds, 1, 60);
        let verify_changes = match self.verify_bindings.as_str() {
            "on" => true,
            "off" => false,
            other => {
                problems.add(
                    "TIRIS_VERIFY_BINDINGS",
                    format_args!("must be on or off (given: {other:?})"),
                );
                false
            }
        };
        // So that the answer is ours, and not that the request took too long.
        let timeout = Duration::from_secs(seconds?.into()).min(request_timeout? * 2 / 3);
        Some(ExchangeSettings {
            binance_url,
            kraken_url,
            gate_url,
            timeout,
            verify_changes,
        })
    }
}

/// Whether this is an https address that leads to another machine than the one who reads it.
fn is_public_https(url: &str) -> bool {
    let url = reqwest::Url::parse(url)
        .ok()
        .filter(|url| url.scheme() == "https");
    url.is_some_and(|url| url.host_str().is_some_and(|host| !is_loopback(host)))
}

fn origins(text: &str, environment: Option<Environment>, problems: &mut Problems) -> Vec<String> {
    const NAME: &str = "TIRIS_CORS_ORIGINS";
    let origins: Vec<String> = text
        .split(',')
        .map(str::trim)
        .filter(|origin| !origin.is_empty())
        .map(str::to_owned)
        .collect();
    for origin in &origins {
        let host = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        if host.is_none_or(|host| host.is_empty() || host.contains(['/', '*'])) {
            problems.add(
                NAME,
                format_args!("must look like https://host[:port] (given: {origin:?})"),
            );
        } else if environment == Some(Environment::Production) && !is_public_https(origin) {
            let why = "must be https and no name of the machine itself in production";
            problems.add(NAME, format_args!("{why} (given: {origin:?})"));
        }
    }
    origins
}

#[cfg(test)]
mod tests;
