//! Settings of exchanges.

use crate::exchange::ExchangeSettings;
use std::time::Duration;
use tiris_runtime::config::{Environment, Problems};

/// The exchanges and when their credentials are verified.
#[derive(clap::Args, Clone, Debug)]
pub struct ExchangeArgs {
    /// Base URL of Binance
    #[arg(long, env = "TIRIS_BINANCE_URL")]
    #[arg(default_value = "https://api.binance.com", value_name = "URL")]
    binance_url: String,
    /// Base URL of Kraken
    #[arg(long, env = "TIRIS_KRAKEN_URL")]
    #[arg(default_value = "https://api.kraken.com", value_name = "URL")]
    kraken_url: String,
    /// Base URL of Gate.io
    #[arg(long, env = "TIRIS_GATE_URL")]
    #[arg(default_value = "https://api.gateio.ws", value_name = "URL")]
    gate_url: String,
    /// Time limit of a verification at an exchange with all its attempts, in seconds (1 to 60); capped at two thirds of
    /// TIRIS_REQUEST_SECONDS
    #[arg(long, env = "TIRIS_EXCHANGE_SECONDS")]
    #[arg(default_value = "10", value_name = "SECONDS")]
    exchange_seconds: String,
    /// Whether new and changed credentials are verified at once: on or off
    #[arg(long, env = "TIRIS_VERIFY_BINDINGS")]
    #[arg(default_value = "off", value_name = "WHEN")]
    verify_bindings: String,
}

impl ExchangeArgs {
    /// Checks the settings and adds every mistake to `problems`.
    pub(super) fn check(
        &self,
        environment: Option<Environment>,
        request_timeout: Option<Duration>,
        problems: &mut Problems,
    ) -> Option<ExchangeSettings> {
        let is_dev = environment == Some(Environment::Dev);
        let binance_url = base_url("TIRIS_BINANCE_URL", &self.binance_url, is_dev, problems);
        let kraken_url = base_url("TIRIS_KRAKEN_URL", &self.kraken_url, is_dev, problems);
        let gate_url = base_url("TIRIS_GATE_URL", &self.gate_url, is_dev, problems);
        let timeout = problems.parse_seconds("TIRIS_EXCHANGE_SECONDS", &self.exchange_seconds, 60);
        let verify_changes = problems.parse_switch("TIRIS_VERIFY_BINDINGS", &self.verify_bindings);

        Some(ExchangeSettings {
            binance_url,
            kraken_url,
            gate_url,
            // Leaves time to report the timeout of the exchange before the request itself times out.
            timeout: timeout?.min(request_timeout? * 2 / 3),
            verify_changes: verify_changes?,
        })
    }
}

/// Returns the URL without a trailing slash. Only development allows one without TLS.
fn base_url(variable: &str, given: &str, is_dev: bool, problems: &mut Problems) -> String {
    let url = given.trim().trim_end_matches('/');
    let host = match url.strip_prefix("http://") {
        Some(host) if is_dev => Some(host),
        _ => url.strip_prefix("https://"),
    };
    if host.is_none_or(str::is_empty) || url.contains(['?', '#', '@', ' ']) {
        let why = format_args!("must look like https://host[:port] (given: {given:?})");
        problems.add(variable, why);
    }

    url.to_owned()
}
