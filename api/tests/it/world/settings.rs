//! Settings of the API under test.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;
use tiris_api::exchange::ExchangeSettings;
use tiris_api::settings::{
    LiveSettings, ProtectionSettings, ProviderSettings, QuotaSettings, RateSettings, Settings,
};
use tiris_runtime::config::{DatabaseConfig, Environment, LogConfig, ServiceConfig};
use tiris_runtime::crypto::EncryptionConfig;

/// A rate limit per minute that no test reaches.
const RATE: u32 = 1_000_000;

/// Returns settings with free ports and without a log.
pub(crate) fn settings(database_url: &str, key_file: PathBuf) -> Settings {
    Settings {
        drain_lead: Duration::ZERO,
        listen: any_port(),
        request_timeout: Duration::from_secs(15),
        cors_origins: vec!["https://tiris.ai".to_owned()],
        encryption: EncryptionConfig {
            keys: "".into(),
            fingerprint_key: "".into(),
            file: Some(key_file.with_file_name("encryption.env")),
        },
        exchanges: exchanges(),
        key_files: vec![key_file],
        providers: ProviderSettings::default(),
        protection: protection(),
        database: database(database_url),
        replica: None,
        live: LiveSettings::new(None),
        service: service(),
    }
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

/// Exchanges at an address that refuses connections, so that unintended requests fail.
fn exchanges() -> ExchangeSettings {
    ExchangeSettings {
        binance_url: "http://127.0.0.1:9".to_owned(),
        kraken_url: "http://127.0.0.1:9".to_owned(),
        gate_url: "http://127.0.0.1:9".to_owned(),
        timeout: Duration::from_secs(2),
        verify_changes: false,
    }
}

fn protection() -> ProtectionSettings {
    ProtectionSettings {
        rates: RateSettings {
            general: NonZeroU32::new(RATE),
            auth: NonZeroU32::new(RATE),
            money: NonZeroU32::new(RATE),
            credentials: NonZeroU32::new(RATE),
        },
        quotas: QuotaSettings {
            tradings: 1_000,
            accounts: 10_000,
            bindings: 100,
        },
        trusted_proxies: Vec::new(),
        head_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(120),
        connections: 1_000,
        connections_per_address: 1_000,
    }
}

fn database(url: &str) -> DatabaseConfig {
    DatabaseConfig {
        url: url.into(),
        max_connections: 10,
        min_connections: 0,
        acquire_timeout: Duration::from_secs(4),
        idle_timeout: Duration::from_secs(300),
        lifetime: Duration::from_secs(1_800),
        statement_timeout: Duration::from_secs(5),
    }
}

fn service() -> ServiceConfig {
    ServiceConfig {
        metrics: false,
        traces: None,
        environment: Environment::Dev,
        admin_listen: any_port(),
        log: LogConfig {
            filter: "off".parse().expect("a filter"),
            json: true,
        },
        shutdown_timeout: Duration::from_secs(5),
    }
}
