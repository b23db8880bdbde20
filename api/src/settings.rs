//! Settings of the API from flags and environment variables: their names, defaults and checks.
//!
//! Must not know: what the settings are used for.

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
pub use protection::{ProtectionArgs, ProtectionSettings, QuotaSettings, RateSettings};
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

/// The default address of health and metrics.
pub(crate) const ADMIN_LISTEN_DEFAULT: &str = "127.0.0.1:9464";
const REQUEST_SECONDS_MAX: u32 = 300;
const DRAIN_LEAD_SECONDS_MAX: u32 = 60;
/// The default outside development; in development it is 0, because there is no load balancer.
const DRAIN_LEAD_SECONDS_DEFAULT: u32 = 5;

/// Settings of `tiris-api serve`.
#[derive(clap::Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address of the API. Port 0 selects a free port
    #[arg(long, env = "TIRIS_API_LISTEN")]
    #[arg(default_value = "127.0.0.1:8080", value_name = "HOST:PORT")]
    listen: String,
    /// Time limit of a request before it fails with 503, in seconds (1 to 300)
    #[arg(long, env = "TIRIS_REQUEST_SECONDS")]
    #[arg(default_value = "15", value_name = "SECONDS")]
    request_seconds: String,
    /// Seconds between reporting not ready and refusing new requests on shutdown (0 to 60): as long as the load balancer
    /// needs to notice. They precede TIRIS_SHUTDOWN_SECONDS [default: 5, with TIRIS_ENV=dev 0]
    #[arg(long, env = "TIRIS_DRAIN_LEAD_SECONDS", value_name = "SECONDS")]
    drain_lead_seconds: Option<String>,
    /// Web origins that may call the API from a browser, separated by commas; TIRIS_ENV=dev adds every port of localhost
    /// [default: https:// with tiris.ai, admin.tiris.ai and docs.tiris.ai in production; with dev.tiris.ai,
    /// admin.dev.tiris.ai and docs.dev.tiris.ai elsewhere]
    #[arg(long, env = "TIRIS_CORS_ORIGINS", value_name = "ORIGINS")]
    cors_origins: Option<String>,
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
    /// Address of the API.
    pub listen: SocketAddr,
    /// Time limit of a request.
    pub request_timeout: Duration,
    /// Time between reporting not ready and refusing new requests.
    pub drain_lead: Duration,
    /// Web origins that may call the API from a browser, as `scheme://host[:port]`.
    pub cors_origins: Vec<String>,
    /// Key files of access tokens; the first one signs.
    pub key_files: Vec<PathBuf>,
    /// Encryption keys of credentials.
    pub encryption: EncryptionConfig,
    /// The exchanges and when their credentials are verified.
    pub exchanges: ExchangeSettings,
    /// The identity providers.
    pub providers: ProviderSettings,
    /// Rate limits, connection limits and trusted proxies.
    pub protection: ProtectionSettings,
    /// The primary database.
    pub database: DatabaseConfig,
    /// The replica that serves older history.
    pub replica: Option<DatabaseConfig>,
    /// Live streams.
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
        let seconds = &self.request_seconds;
        let request_timeout =
            problems.parse_seconds("TIRIS_REQUEST_SECONDS", seconds, REQUEST_SECONDS_MAX);
        let drain_lead = self.drain_lead(environment, problems);
        let live = LiveSettings::new(self.nats.check_optional(environment, problems));
        let service = self.service.check(ADMIN_LISTEN_DEFAULT, problems);
        let cors_origins = origins::parse(self.cors_origins.as_deref(), environment, problems);
        let database = self.database.check(environment, problems);
        let replica = self.replica.check(database.as_ref(), environment, problems);
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
