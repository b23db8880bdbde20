//! The settings of `tiris-demo`.

use super::candles;
use super::setup::Symbol;
use super::strategy::CANDLES_MAX;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use std::time::Duration;
use tiris_runtime::config::{ConfigError, NatsArgs, NatsConfig, Problems};
use uuid::Uuid;

/// Trades like a bot and publishes what a bot would, to see the whole system work.
#[derive(clap::Parser, Debug)]
#[command(name = "tiris-demo", version)]
pub(crate) struct DemoArgs {
    /// REST API without /v1, over plain HTTP: on this machine or in its private network
    #[arg(
        long,
        env = "API_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    api_url: String,
    /// Access token of the user the bot trades for
    #[arg(
        long,
        env = "TOKEN",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true,
        value_name = "TOKEN"
    )]
    token: SecretString,
    /// The user the bot trades for, to be sure; else the token's
    #[arg(long, env = "USER_ID", value_name = "UUID")]
    user_id: Option<String>,
    #[command(flatten)]
    nats: NatsArgs,
    /// Trade these candles (CSV: time,open,high,low,close,volume) on a trading of their own; the same file again
    /// changes nothing. Without it the bot trades a series it makes, until Ctrl-C
    #[arg(long, value_name = "FILE")]
    candles: Option<PathBuf>,
    /// Base and quote asset [default: what the file name says, as in eth_btc_5m.csv, else ETH/BTC]
    #[arg(long, value_name = "BASE/QUOTE")]
    symbol: Option<String>,
    /// Name of the trading, found or made [default: Demo, or one for the candle file]
    #[arg(long, value_name = "NAME")]
    trading: Option<String>,
    /// Candles of the fast average
    #[arg(long, default_value = "5", value_name = "CANDLES")]
    fast: String,
    /// Candles of the slow average (up to 1000)
    #[arg(long, default_value = "20", value_name = "CANDLES")]
    slow: String,
    /// Seed of the price series the bot makes
    #[arg(
        long,
        default_value = "1",
        value_name = "NUMBER",
        conflicts_with = "candles"
    )]
    seed: String,
    /// Stop after so many candles
    #[arg(long, value_name = "CANDLES")]
    limit: Option<String>,
    /// Events a second (1 to 100000)
    #[arg(long, default_value = "5", value_name = "EVENTS")]
    rate: String,
    /// As fast as NATS takes them
    #[arg(long, conflicts_with = "rate")]
    burst: bool,
    /// Then ask the API until its balances equal the expected ones; fail when they do not
    #[arg(long)]
    verify: bool,
    /// How long --verify waits, in seconds
    #[arg(long, default_value = "120", value_name = "SECONDS")]
    verify_timeout: String,
}

/// Checked [`DemoArgs`].
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) api_url: String,
    pub(super) token: SecretString,
    pub(super) user: Option<Uuid>,
    pub(super) nats: NatsConfig,
    pub(super) candles: Option<PathBuf>,
    pub(super) symbol: Symbol,
    pub(super) trading: Option<String>,
    pub(super) fast: u16,
    pub(super) slow: u16,
    pub(super) seed: u64,
    /// Candles to trade at most.
    pub(super) limit: Option<u64>,
    /// Events a second; `None` is a burst.
    pub(super) rate: Option<u32>,
    /// How long to wait for the balances; `None` when they are not verified.
    pub(super) verify: Option<Duration>,
}

impl DemoArgs {
    /// Checks all settings and reports every mistake at once.
    pub(super) fn check(&self) -> Result<Settings, ConfigError> {
        let mut problems = Problems::default();
        let settings = self.checked(&mut problems);
        problems.finish(settings)
    }

    fn checked(&self, problems: &mut Problems) -> Option<Settings> {
        self.check_connections(problems);
        if self.candles.is_none() && self.limit.is_none() && (self.burst || self.verify) {
            problems.add(
                "--burst, --verify",
                "need an end: give --candles FILE or --limit CANDLES",
            );
        }
        let user = self.user_id.as_deref().filter(|id| !id.is_empty());
        let user = user.and_then(|id| problems.parse("USER_ID", id));
        let nats = self.nats.check(None, problems);
        let symbol = self.checked_symbol(problems);
        let averages = self.checked_averages(problems);
        let seed = problems.parse("--seed", &self.seed);
        let limit = self.limit.as_deref();
        let limit = limit.and_then(|limit| problems.parse("--limit", limit));
        let rate = problems.parse_within("--rate", &self.rate, 1, 100_000);
        let timeout = problems.parse_within("--verify-timeout", &self.verify_timeout, 1, 86_400);

        let averages = averages?;
        let timeout = timeout.map(|seconds| Duration::from_secs(seconds.into()));
        Some(Settings {
            api_url: self.api_url.clone(),
            token: self.token.clone(),
            user,
            nats: nats?,
            candles: self.candles.clone(),
            symbol: symbol?,
            trading: self.trading.clone(),
            fast: averages.fast,
            slow: averages.slow,
            seed: seed?,
            limit,
            rate: rate.filter(|_| !self.burst),
            verify: timeout.filter(|_| self.verify),
        })
    }

    fn check_connections(&self, problems: &mut Problems) {
        if !self.api_url.starts_with("http://") {
            let why = format!(
                "must look like http://host:port (given: {:?})",
                self.api_url
            );
            problems.add("API_URL", why);
        }
        if self.token.expose_secret().is_empty() {
            let why = "is required; `tiris-api token --email ...` makes one";
            problems.add("TOKEN", why);
        }
    }

    fn checked_symbol(&self, problems: &mut Problems) -> Option<Symbol> {
        let guess = || self.candles.as_deref().and_then(candles::symbol_of_file);
        let symbol = self.symbol.clone().or_else(guess);
        problems.parse(
            "--symbol",
            symbol.as_deref().unwrap_or(candles::SYMBOL_DEFAULT),
        )
    }

    fn checked_averages(&self, problems: &mut Problems) -> Option<Averages> {
        let max = u32::from(CANDLES_MAX);
        let fast = problems.parse_within("--fast", &self.fast, 1, max);
        let slow = problems.parse_within("--slow", &self.slow, 2, max);
        let fast = fast?;
        let slow = slow?;

        if fast >= slow {
            let why = format!("must be below --slow (given: {fast} and {slow})");
            problems.add("--fast", why);
            return None;
        }

        Some(Averages {
            fast: u16::try_from(fast).ok()?,
            slow: u16::try_from(slow).ok()?,
        })
    }
}

/// Lengths of the two averages, in candles.
struct Averages {
    fast: u16,
    slow: u16,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Args {
        #[command(flatten)]
        demo: DemoArgs,
    }

    fn check(arguments: &[&str]) -> Result<Settings, ConfigError> {
        let defaults = [
            "test",
            "--api-url=http://127.0.0.1:1",
            "--token=t0ps3cret",
            "--user-id=",
        ];
        let mut given: Vec<&str> = defaults.to_vec();
        given.retain(|default| {
            let name = default.split('=').next().unwrap_or(default);
            !arguments
                .iter()
                .any(|argument| argument.split('=').next() == Some(name))
        });

        Args::parse_from(given.iter().chain(arguments)).demo.check()
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let error = check(&[
            "--api-url=https://api.example",
            "--token=",
            "--user-id=me",
            "--symbol=ETH",
            "--fast=20",
            "--slow=5",
            "--seed=x",
            "--rate=0",
            "--verify",
        ])
        .expect_err("eight mistakes")
        .to_string();

        for name in [
            "API_URL", "TOKEN", "USER_ID", "--symbol", "--fast", "--seed", "--rate", "--verify",
        ] {
            assert!(error.contains(name), "{name} is missing in: {error}");
        }
    }

    #[test]
    fn the_symbol_is_the_one_given_else_that_of_the_file_else_ether_in_bitcoin() {
        let symbol = |arguments: &[&str]| {
            let Symbol { base, quote } = check(arguments).expect("valid").symbol;
            format!("{base}/{quote}")
        };
        assert_eq!(symbol(&[]), "ETH/BTC");
        assert_eq!(symbol(&["--candles=/tmp/sol_usdt_1h.csv"]), "SOL/USDT");
        assert_eq!(
            symbol(&["--candles=/tmp/sol_usdt_1h.csv", "--symbol=ada/eur"]),
            "ADA/EUR"
        );
        assert!(check(&["--symbol=BTC/btc"]).is_err());
    }

    #[test]
    fn the_token_is_never_printed() {
        let settings = check(&[]).expect("valid");
        assert!(!format!("{settings:?}").contains("t0ps3cret"));
    }
}
