//! Settings of rate limits, connection limits and trusted proxies.

use ipnet::IpNet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use tiris_runtime::config::{Environment, Problems, entries};

/// The highest rate limit, in requests per minute.
const RATE_MAX: u32 = 10_000_000;
/// The highest quota.
const QUOTA_MAX: u32 = 1_000_000;
const HEAD_SECONDS_MAX: u32 = 60;
const IDLE_SECONDS_MAX: u32 = 3_600;
const CONNECTIONS_MAX: u32 = 1_000_000;

/// The limits of callers.
#[derive(clap::Args, Clone, Debug)]
pub struct ProtectionArgs {
    /// Requests a minute per user, or per address without a token; off only with TIRIS_ENV=dev
    #[arg(long, env = "TIRIS_RATE_GENERAL")]
    #[arg(default_value = "6000", value_name = "COUNT")]
    rate_general: String,
    /// Requests a minute per address to /v1/auth; off only with TIRIS_ENV=dev
    #[arg(long, env = "TIRIS_RATE_AUTH")]
    #[arg(default_value = "60", value_name = "COUNT")]
    rate_auth: String,
    /// Requests a minute per user that can move money; off only with TIRIS_ENV=dev
    #[arg(long, env = "TIRIS_RATE_MONEY")]
    #[arg(default_value = "600", value_name = "COUNT")]
    rate_money: String,
    /// Requests a minute per user that read credentials of exchanges; off only with TIRIS_ENV=dev
    #[arg(long, env = "TIRIS_RATE_CREDENTIALS")]
    #[arg(default_value = "60", value_name = "COUNT")]
    rate_credentials: String,
    /// Tradings that a user may have at once (1 to 1000000)
    #[arg(long, env = "TIRIS_QUOTA_TRADINGS")]
    #[arg(default_value = "1000", value_name = "COUNT")]
    quota_tradings: String,
    /// Sub-accounts that a user may have at once, in all tradings (1 to 1000000)
    #[arg(long, env = "TIRIS_QUOTA_ACCOUNTS")]
    #[arg(default_value = "10000", value_name = "COUNT")]
    quota_accounts: String,
    /// Private exchange bindings that a user may have at once (1 to 1000000)
    #[arg(long, env = "TIRIS_QUOTA_BINDINGS")]
    #[arg(default_value = "100", value_name = "COUNT")]
    quota_bindings: String,
    /// Networks of trusted proxies such as 10.0.0.0/8, separated by commas: their X-Forwarded-For and X-Forwarded-Proto
    /// are trusted
    #[arg(long, env = "TIRIS_TRUSTED_PROXIES")]
    #[arg(default_value = "", value_name = "NETWORKS")]
    trusted_proxies: String,
    /// Time limit for the head of a request, in seconds (1 to 60)
    #[arg(long, env = "TIRIS_HEAD_SECONDS")]
    #[arg(default_value = "10", value_name = "SECONDS")]
    head_seconds: String,
    /// Seconds after which an idle connection is closed (1 to 3600): longer than a proxy in front keeps its connections,
    /// which is 90 with Traefik and 60 with nginx. TIRIS_REQUEST_SECONDS are added
    #[arg(long, env = "TIRIS_IDLE_SECONDS")]
    #[arg(default_value = "120", value_name = "SECONDS")]
    idle_seconds: String,
    /// Maximum number of connections of the process, as far as the limit on open files allows; further ones wait
    #[arg(long, env = "TIRIS_CONNECTIONS")]
    #[arg(default_value = "8192", value_name = "COUNT")]
    connections: String,
    /// Maximum number of connections per address, except for trusted proxies; further ones are closed
    #[arg(long, env = "TIRIS_CONNECTIONS_PER_ADDRESS")]
    #[arg(default_value = "1024", value_name = "COUNT")]
    connections_per_address: String,
}

/// Checked [`ProtectionArgs`].
#[derive(Clone, Debug)]
pub struct ProtectionSettings {
    /// The rate limits.
    pub rates: RateSettings,
    /// The quotas of a user.
    pub quotas: QuotaSettings,
    /// Networks of trusted proxies.
    pub trusted_proxies: Vec<IpNet>,
    /// Time limit for the head of a request.
    pub head_timeout: Duration,
    /// Time after which an idle connection is closed.
    pub idle_timeout: Duration,
    /// Maximum number of connections of the process.
    pub connections: u32,
    /// Maximum number of connections per address.
    pub connections_per_address: u32,
}

/// Requests a minute in each class; `None` for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateSettings {
    /// Everything in no other class.
    pub general: Option<NonZeroU32>,
    /// Signing in and out, by address.
    pub auth: Option<NonZeroU32>,
    /// Requests that can move money.
    pub money: Option<NonZeroU32>,
    /// Requests that read credentials.
    pub credentials: Option<NonZeroU32>,
}

/// How many resources a user may have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaSettings {
    /// Tradings.
    pub tradings: u32,
    /// Sub-accounts in all tradings.
    pub accounts: u32,
    /// Private exchange bindings.
    pub bindings: u32,
}

impl ProtectionArgs {
    /// Checks the settings and adds every mistake to `problems`.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<ProtectionSettings> {
        let mut rate = |name: &str, text: &str| rate(name, text, environment, problems);
        let rates = RateSettings {
            general: rate("TIRIS_RATE_GENERAL", &self.rate_general),
            auth: rate("TIRIS_RATE_AUTH", &self.rate_auth),
            money: rate("TIRIS_RATE_MONEY", &self.rate_money),
            credentials: rate("TIRIS_RATE_CREDENTIALS", &self.rate_credentials),
        };

        let mut quota = |name: &str, text: &str| problems.parse_within(name, text, 1, QUOTA_MAX);
        let tradings = quota("TIRIS_QUOTA_TRADINGS", &self.quota_tradings);
        let accounts = quota("TIRIS_QUOTA_ACCOUNTS", &self.quota_accounts);
        let bindings = quota("TIRIS_QUOTA_BINDINGS", &self.quota_bindings);

        let trusted_proxies = proxies(&self.trusted_proxies, environment, problems);
        let head_timeout =
            problems.parse_seconds("TIRIS_HEAD_SECONDS", &self.head_seconds, HEAD_SECONDS_MAX);
        let idle_timeout =
            problems.parse_seconds("TIRIS_IDLE_SECONDS", &self.idle_seconds, IDLE_SECONDS_MAX);
        let mut count =
            |name: &str, text: &str| problems.parse_within(name, text, 1, CONNECTIONS_MAX);
        let connections = count("TIRIS_CONNECTIONS", &self.connections);
        let per_address = &self.connections_per_address;
        let connections_per_address = count("TIRIS_CONNECTIONS_PER_ADDRESS", per_address);

        Some(ProtectionSettings {
            rates,
            quotas: QuotaSettings {
                tradings: tradings?,
                accounts: accounts?,
                bindings: bindings?,
            },
            trusted_proxies,
            head_timeout: head_timeout?,
            idle_timeout: idle_timeout?,
            connections: connections?,
            connections_per_address: connections_per_address?,
        })
    }
}

fn rate(
    name: &str,
    text: &str,
    environment: Option<Environment>,
    problems: &mut Problems,
) -> Option<NonZeroU32> {
    if text.trim() == "off" {
        if environment.is_some_and(Environment::is_strict) {
            problems.add(name, "must not be off outside development");
        }
        return None;
    }
    NonZeroU32::new(problems.parse_within(name, text, 1, RATE_MAX)?)
}

fn proxies(text: &str, environment: Option<Environment>, problems: &mut Problems) -> Vec<IpNet> {
    const NAME: &str = "TIRIS_TRUSTED_PROXIES";
    let is_strict = environment.is_some_and(Environment::is_strict);
    let mut networks = Vec::new();
    for item in entries(text) {
        let network = item.parse::<IpNet>();
        let why = match network.or_else(|_| item.parse::<IpAddr>().map(IpNet::from)) {
            Ok(network) if network.prefix_len() == 0 && is_strict => {
                "must not trust every address outside development"
            }
            Ok(network) => {
                networks.push(network);
                continue;
            }
            Err(_) => "must look like 10.0.0.0/8 or 10.1.2.3",
        };
        problems.add(NAME, format_args!("{why} (given: {item:?})"));
    }

    networks
}
