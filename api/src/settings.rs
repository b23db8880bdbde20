//! Settings of the API, from command line or environment.
//!
//! Owns: names, defaults and checks. Must not know: what the settings are used for.

mod exchanges;
mod keys;
mod live;
mod origins;
mod protection;
mod providers;
mod replica;

pub use exchanges::ExchangeArgs;
pub use keys::KeyArgs;
pub use live::LiveSettings;
pub use protection::{ProtectionArgs, ProtectionSettings, RateSettings};
pub use providers::{GoogleSettings, ProviderArgs, ProviderSettings, WechatSettings};
pub use replica::ReplicaArgs;

use crate::exchange::ExchangeSettings;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tiris_runtime::config::{
    ConfigError, DatabaseArgs, DatabaseConfig, Environment, NatsArgs, Problems, ServiceArgs,
    ServiceConfig,
};
use tiris_runtime::crypto::{EncryptionArgs, EncryptionConfig};

/// Where health and metrics are served unless told otherwise.
pub(crate) const ADMIN_LISTEN_DEFAULT: &str = "127.0.0.1:9464";
/// Longest time a request may take, in seconds.
const REQUEST_SECONDS_MAX: u32 = 300;
/// Longest time between not being ready and draining, in seconds.
const DRAIN_LEAD_SECONDS_MAX: u32 = 60;
/// In production; in development nobody spreads requests.
const DRAIN_LEAD_SECONDS_DEFAULT: u32 = 5;

/// Settings of `tiris-api serve`.
#[derive(clap::Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address the API listens on. Port 0 picks a free one
    #[arg(long, env = "TIRIS_API_LISTEN")]
    #[arg(default_value = "127.0.0.1:8080", value_name = "HOST:PORT")]
    listen: String,
    /// Seconds a request may take before it is answered with 503 (1 to 300)
    #[arg(long, env = "TIRIS_REQUEST_SECONDS")]
    #[arg(default_value = "15", value_name = "SECONDS")]
    request_seconds: String,
    /// Seconds between saying not ready and taking no more requests when told to stop (0 to 60): as long as whoever
    /// spreads the requests needs to notice. They come before TIRIS_SHUTDOWN_SECONDS. By default 5, with TIRIS_ENV=dev 0
    #[arg(long, env = "TIRIS_DRAIN_LEAD_SECONDS", value_name = "SECONDS")]
    drain_lead_seconds: Option<String>,
    /// Web origins that may call the API from a browser, separated by commas; with TIRIS_ENV=dev also every port of
    /// localhost
    #[arg(long, env = "TIRIS_CORS_ORIGINS", default_value = origins::DEFAULT, value_name = "ORIGINS")]
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
    nats: NatsArgs,
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
    /// Checks all settings and reports every mistake at once.
    pub fn check(&self) -> Result<Settings, ConfigError> {
        let mut problems = Problems::default();
        let settings = self.checked(&mut problems);
        problems.finish(settings)
    }

    fn checked(&self, problems: &mut Problems) -> Option<Settings> {
        let environment = self.service.environment();
        let listen = problems.parse("TIRIS_API_LISTEN", &self.listen);
        let request_timeout = problems.parse_seconds(
            "TIRIS_REQUEST_SECONDS",
            &self.request_seconds,
            REQUEST_SECONDS_MAX,
        );
        let drain_lead = self.drain_lead(environment, problems);
        let live = LiveSettings::new(self.nats.check_optional(environment, problems));
        let service = self.service.check(ADMIN_LISTEN_DEFAULT, problems);
        let cors_origins = origins::parse(&self.cors_origins, environment, problems);
        let database = self.database.check(environment, problems);
        let primary = database.as_ref();
        let replica = self.replica.check(primary, environment, problems);
        let key_files = self.keys.check(environment, problems);
        let encryption = self.encryption.check(environment, problems);
        let exchanges = self.exchanges.check(environment, request_timeout, problems);
        let providers = self.providers.check(environment, problems);
        let protection = self.protection.check(environment, problems);

        Some(Settings {
            listen: listen?,
            request_timeout: request_timeout?,
            drain_lead: drain_lead?,
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
    }

    fn drain_lead(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<Duration> {
        const VARIABLE: &str = "TIRIS_DRAIN_LEAD_SECONDS";
        let seconds = match &self.drain_lead_seconds {
            Some(text) => problems.parse_within(VARIABLE, text, 0, DRAIN_LEAD_SECONDS_MAX)?,
            None if environment == Some(Environment::Dev) => 0,
            None => DRAIN_LEAD_SECONDS_DEFAULT,
        };
        Some(Duration::from_secs(u64::from(seconds)))
    }
}

#[cfg(test)]
mod tests;
