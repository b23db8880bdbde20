//! Settings that keep one caller from using up what is there for all.
//!
//! Owns: names, defaults and checks. Must not know: how limits are kept.

use ipnet::IpNet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use tiris_runtime::config::{Environment, Problems, entries};

/// Highest rate, in requests a minute.
const RATE_MAX: u32 = 10_000_000;
/// Longest time the head of a request may take, in seconds.
const HEAD_SECONDS_MAX: u32 = 60;
/// Most connections of a process.
const CONNECTIONS_MAX: u32 = 1_000_000;

/// What callers are held to.
#[derive(clap::Args, Clone, Debug)]
pub struct ProtectionArgs {
    /// Requests a minute of a user, or without a token of an address; with TIRIS_ENV=dev also off
    #[arg(long, env = "TIRIS_RATE_GENERAL")]
    #[arg(default_value = "6000", value_name = "COUNT")]
    rate_general: String,
    /// Requests a minute of an address to /v1/auth; with TIRIS_ENV=dev also off
    #[arg(long, env = "TIRIS_RATE_AUTH")]
    #[arg(default_value = "60", value_name = "COUNT")]
    rate_auth: String,
    /// Requests a minute of a user that can move money; with TIRIS_ENV=dev also off
    #[arg(long, env = "TIRIS_RATE_MONEY")]
    #[arg(default_value = "600", value_name = "COUNT")]
    rate_money: String,
    /// Requests a minute of a user that read credentials of exchanges; with TIRIS_ENV=dev also off
    #[arg(long, env = "TIRIS_RATE_CREDENTIALS")]
    #[arg(default_value = "60", value_name = "COUNT")]
    rate_credentials: String,
    /// Networks of the proxies in front, as 10.0.0.0/8 and separated by commas: what they say in X-Forwarded-For and
    /// X-Forwarded-Proto is believed
    #[arg(long, env = "TIRIS_TRUSTED_PROXIES")]
    #[arg(default_value = "", value_name = "NETWORKS")]
    trusted_proxies: String,
    /// Seconds a client may take to send the head of a request (1 to 60)
    #[arg(long, env = "TIRIS_HEAD_SECONDS")]
    #[arg(default_value = "10", value_name = "SECONDS")]
    head_seconds: String,
    /// Connections this process holds at most, as far as the limit on open files allows; more of them wait
    #[arg(long, env = "TIRIS_CONNECTIONS")]
    #[arg(default_value = "8192", value_name = "COUNT")]
    connections: String,
    /// Connections an address may hold, trusted proxies excepted; more of them are closed
    #[arg(long, env = "TIRIS_CONNECTIONS_PER_ADDRESS")]
    #[arg(default_value = "1024", value_name = "COUNT")]
    connections_per_address: String,
}

/// Checked [`ProtectionArgs`].
#[derive(Clone, Debug)]
pub struct ProtectionSettings {
    /// How many requests are allowed.
    pub rates: RateSettings,
    /// Proxies that are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long the head of a request may take.
    pub head_timeout: Duration,
    /// Connections of the process.
    pub connections: u32,
    /// Connections of an address.
    pub connections_per_address: u32,
}

/// Requests a minute in each class; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateSettings {
    /// Whatever is in no other class.
    pub general: Option<NonZeroU32>,
    /// Signing in and out, by address.
    pub auth: Option<NonZeroU32>,
    /// What moves money.
    pub money: Option<NonZeroU32>,
    /// What reads credentials.
    pub credentials: Option<NonZeroU32>,
}

impl ProtectionArgs {
    /// Checks the settings, noting every mistake.
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

        let trusted_proxies = proxies(&self.trusted_proxies, environment, problems);
        let head_timeout =
            problems.parse_seconds("TIRIS_HEAD_SECONDS", &self.head_seconds, HEAD_SECONDS_MAX);
        let mut connections =
            |name: &str, text: &str| problems.parse_within(name, text, 1, CONNECTIONS_MAX);
        let all = connections("TIRIS_CONNECTIONS", &self.connections);
        let per_address = connections(
            "TIRIS_CONNECTIONS_PER_ADDRESS",
            &self.connections_per_address,
        );

        Some(ProtectionSettings {
            rates,
            trusted_proxies,
            head_timeout: head_timeout?,
            connections: all?,
            connections_per_address: per_address?,
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
        if environment == Some(Environment::Production) {
            problems.add(name, "must not be off in production");
        }
        return None;
    }
    NonZeroU32::new(problems.parse_within(name, text, 1, RATE_MAX)?)
}

fn proxies(text: &str, environment: Option<Environment>, problems: &mut Problems) -> Vec<IpNet> {
    const NAME: &str = "TIRIS_TRUSTED_PROXIES";
    let mut networks = Vec::new();
    for item in entries(text) {
        let network = item.parse::<IpNet>();
        let why = match network.or_else(|_| item.parse::<IpAddr>().map(IpNet::from)) {
            Ok(network)
                if network.prefix_len() == 0 && environment == Some(Environment::Production) =>
            {
                "must not trust everybody in production"
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
