//! The settings of `tiris-demo`.

use crate::candles::symbol_of_file;
use crate::strategy::CANDLES_MAX;
use anyhow::{Result, anyhow, ensure};
use clap::builder::{NonEmptyStringValueParser, TypedValueParser};
use clap::{ArgGroup, Parser, value_parser};
use secrecy::SecretString;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use tiris_domain::ledger::Pair;
use tiris_runtime::config::NatsArgs;

const SYMBOL_DEFAULT: &str = "ETH/BTC";
/// The trading of a generated series.
const TRADING_DEFAULT: &str = "Demo";

/// Trades like a bot and publishes its events, to see the whole system work
#[derive(Parser, Clone, Debug)]
#[command(name = "tiris-demo", version)]
#[command(group(ArgGroup::new("end").args(["candles", "limit"]).multiple(true)))]
pub(crate) struct Settings {
    /// REST API without /v1, over plain HTTP: on this machine or in its private network
    #[arg(long, env = "API_URL", value_name = "URL", value_parser = parse_url)]
    #[arg(default_value = "http://127.0.0.1:8080")]
    pub(crate) api_url: String,
    /// Access token of the user the bot trades for; `tiris-api token --email ...` issues one
    #[arg(long, env = "TOKEN", hide_env_values = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new().map(SecretString::from))]
    pub(crate) token: SecretString,
    /// The user the bot trades for; fails when the token is of another user
    #[arg(long, env = "USER_ID", value_name = "UUID")]
    pub(crate) user_id: Option<String>,
    #[command(flatten)]
    pub(crate) nats: NatsArgs,
    /// Trade these candles (CSV: time,open,high,low,close,volume) in a trading of their own; repeating a file changes
    /// nothing. Without it the bot trades a generated series until Ctrl-C
    #[arg(long, value_name = "FILE")]
    pub(crate) candles: Option<PathBuf>,
    /// Base and quote asset [default: from a file name such as eth_btc_5m.csv, otherwise ETH/BTC]
    #[arg(long, value_name = "BASE/QUOTE")]
    symbol: Option<String>,
    /// Name of the trading, which is created when missing [default: Demo, or one for the candle file]
    #[arg(long, value_name = "NAME")]
    trading: Option<String>,
    /// Candles of the fast average
    #[arg(long, default_value = "5", value_name = "CANDLES")]
    #[arg(value_parser = value_parser!(u16).range(1..=CANDLES_MAX))]
    pub(crate) fast: u16,
    /// Candles of the slow average (up to 1000)
    #[arg(long, default_value = "20", value_name = "CANDLES")]
    #[arg(value_parser = value_parser!(u16).range(2..=CANDLES_MAX))]
    pub(crate) slow: u16,
    /// Seed of the generated price series
    #[arg(
        long,
        default_value = "1",
        value_name = "NUMBER",
        conflicts_with = "candles"
    )]
    pub(crate) seed: u64,
    /// Stop after this many candles
    #[arg(long, value_name = "CANDLES")]
    pub(crate) limit: Option<usize>,
    /// Events a second (1 to 100000)
    #[arg(long, default_value = "5", value_name = "EVENTS")]
    #[arg(value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// As fast as NATS accepts them; needs --candles or --limit
    #[arg(long, conflicts_with = "rate", requires = "end")]
    pub(crate) burst: bool,
    /// Afterwards wait until the balances of the API equal the expected ones, and fail when they do not; needs --candles
    /// or --limit
    #[arg(long, requires = "end")]
    pub(crate) verify: bool,
    /// How long --verify waits, in seconds
    #[arg(long, default_value = "120", value_name = "SECONDS")]
    #[arg(value_parser = value_parser!(u64).range(1..=86_400))]
    pub(crate) verify_timeout: u64,
}

impl Settings {
    /// Checks the settings that depend on each other.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { fast, slow, .. } = self;
        ensure!(
            fast < slow,
            "--fast must be below --slow (given: {fast} and {slow})"
        );
        self.symbol().map(drop)
    }

    /// Returns the pair to trade: the given one, that of the file name, or [`SYMBOL_DEFAULT`].
    pub(crate) fn symbol(&self) -> Result<Pair> {
        let of_file = self.candles.as_deref().and_then(symbol_of_file);
        let text = self.symbol.clone().or(of_file);
        let pair = Pair::try_from(text.unwrap_or_else(|| SYMBOL_DEFAULT.to_owned()));
        let pair = pair.map_err(|error| anyhow!("--symbol: {error}"))?;
        ensure!(
            pair.base != pair.quote,
            "--symbol: {pair} must have two different assets"
        );
        Ok(pair)
    }

    /// Returns the name of the trading, which for a candle file depends on everything that changes the events.
    pub(crate) fn trading_name(&self, pair: &Pair) -> String {
        let Pair { base, quote } = pair;
        let Self { fast, slow, .. } = self;
        let file = self.candles.as_deref().and_then(Path::file_stem);
        match (&self.trading, file.map(OsStr::to_string_lossy)) {
            (Some(name), _) => name.clone(),
            (None, None) => TRADING_DEFAULT.to_owned(),
            (None, Some(file)) => format!("{TRADING_DEFAULT} {file} {base}-{quote} {fast}-{slow}"),
        }
    }
}

fn parse_url(url: &str) -> Result<String, &'static str> {
    if url.starts_with("http://") {
        Ok(url.to_owned())
    } else {
        Err("must look like http://host:port")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses words of a command line, after a token and an address unless `arguments` has its own.
    fn parse(arguments: &str) -> Result<Settings> {
        let mut words = vec!["tiris-demo"];
        for (name, default) in [
            ("--token=", "--token=t0ps3cret"),
            ("--api-url=", "--api-url=http://127.0.0.1:1"),
        ] {
            words.extend((!arguments.contains(name)).then_some(default));
        }
        words.extend(arguments.split_whitespace());
        let settings = Settings::try_parse_from(words)?;
        settings.check().map(|()| settings)
    }

    #[test]
    fn rejects_each_mistake_by_its_name() {
        for (arguments, name) in [
            ("--api-url=https://api.example", "--api-url"),
            ("--token=", "--token"),
            ("--symbol=ETH", "--symbol"),
            ("--symbol=BTC/btc", "--symbol"),
            ("--fast=20 --slow=5", "--fast"),
            ("--slow=1001", "--slow"),
            ("--seed=x", "--seed"),
            ("--rate=0", "--rate"),
            ("--burst", "--limit"),
            ("--verify", "--limit"),
        ] {
            let error = parse(arguments).expect_err(name).to_string();
            assert!(error.contains(name), "{name} is missing in: {error}");
        }
    }

    #[test]
    fn the_symbol_is_given_or_comes_from_the_file_or_is_the_default() {
        for (arguments, symbol) in [
            ("", "ETH/BTC"),
            ("--candles=/tmp/sol_usdt_1h.csv", "SOL/USDT"),
            ("--candles=/tmp/sol_usdt_1h.csv --symbol=ada/eur", "ADA/EUR"),
        ] {
            let settings = parse(arguments).expect("valid");
            let pair = settings.symbol().expect("two assets");
            assert_eq!(pair.to_string(), symbol, "{arguments}");
        }
    }

    #[test]
    fn the_token_is_never_printed() {
        let settings = parse("").expect("valid");
        assert!(!format!("{settings:?}").contains("t0ps3cret"));
    }
}
