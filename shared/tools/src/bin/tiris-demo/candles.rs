//! Candle files, read exactly.

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use std::path::Path;
use tiris_domain::money::Money;

/// Highest price, in units of 10^-18: sums over a thousand candles stay far below 128 bits.
const PRICE_UNITS_MAX: i128 = 10i128.pow(27);
/// Shortest asset of a file name.
const ASSET_CHARS_MIN: usize = 2;

/// One step of the bot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Candle {
    /// Strictly rising within a file.
    pub(crate) time: DateTime<Utc>,
    /// The price of all decisions and fills.
    #[serde(deserialize_with = "exact")]
    pub(crate) close: Money,
}

impl Candle {
    /// Returns a candle of this moment.
    pub(crate) fn now(close: Money) -> Self {
        let time = Utc::now();
        Self { time, close }
    }
}

/// Reads a price as text: the CSV reader would parse it as a float.
fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// Reads at most `limit` candles of a file; an error names the line that is wrong.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<Candle>> {
    let file = std::fs::File::open(path)
        .with_context(|| format!("cannot open the candle file {}", path.display()))?;
    let mut candles =
        parse(file).with_context(|| format!("cannot use the candle file {}", path.display()))?;
    candles.truncate(limit);
    Ok(candles)
}

fn parse(input: impl std::io::Read) -> Result<Vec<Candle>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(input);
    let names = reader.headers().context("cannot read line 1")?.iter();
    let headers: csv::StringRecord = names.map(str::to_ascii_lowercase).collect();
    for name in ["time", "close"] {
        ensure!(
            headers.iter().any(|header| header == name),
            "line 1 has no column {name}; expected time,open,high,low,close,volume"
        );
    }

    let mut candles: Vec<Candle> = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let candle: Candle = record
            .deserialize(Some(&headers))
            .with_context(|| format!("line {line}"))?;
        ensure!(
            candle.close.is_positive() && candle.close.units() <= PRICE_UNITS_MAX,
            "line {line}: close {} must be above zero and at most 1000000000",
            candle.close
        );
        ensure!(
            candles.last().is_none_or(|last| last.time < candle.time),
            "line {line}: the time is not after the time of the line before"
        );
        candles.push(candle);
    }

    ensure!(!candles.is_empty(), "the file has no candles");
    Ok(candles)
}

/// Returns the symbol in a file name such as `eth_btc_5m.csv`.
pub(crate) fn symbol_of_file(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?.to_ascii_uppercase();
    let is_asset = |part: &&str| {
        part.len() >= ASSET_CHARS_MIN && part.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    let mut parts = stem.split(['_', '-']);
    let base = parts.next().filter(is_asset)?;
    let quote = parts.next().filter(is_asset)?;
    Some(format!("{base}/{quote}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_candle_file_to_the_last_digit() {
        let text = "Time,open,high,low,close,volume\n\
                    2018-01-10T04:55:00Z,0.09840000,0.09947660,0.09828605,0.09947660,1820.54447418\n\
                    2018-01-10T05:00:00Z,1,1,1,0.000000000001,0\n";
        let candles = parse(text.as_bytes()).expect("well-formed");
        let closes: Vec<String> = candles
            .iter()
            .map(|candle| candle.close.to_string())
            .collect();

        assert_eq!(closes, ["0.0994766", "0.000000000001"]);
        assert_eq!(candles[0].time.to_rfc3339(), "2018-01-10T04:55:00+00:00");
    }

    #[test]
    fn rejects_a_bad_candle_file_with_the_line_that_is_wrong() {
        for (text, expected) in [
            ("time,open\n", "no column close"),
            ("time,close\n", "no candles"),
            ("time,close\nyesterday,1\n", "line 2"),
            ("time,close\n2018-01-10T05:00:00Z,0.1e\n", "line 2"),
            ("time,close\n2018-01-10T05:00:00Z,0\n", "above zero"),
            (
                "time,close\n2018-01-10T05:00:00Z,1\n2018-01-10T05:00:00Z,1\n",
                "line 3",
            ),
        ] {
            let error = format!("{:#}", parse(text.as_bytes()).expect_err(text));
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn guesses_the_symbol_from_a_file_name() {
        let guess = |name: &str| symbol_of_file(Path::new(name));

        assert_eq!(guess("/data/eth_btc_5m.csv").as_deref(), Some("ETH/BTC"));
        assert_eq!(guess("sol-usdt.csv").as_deref(), Some("SOL/USDT"));
        assert_eq!(guess("candles.csv"), None);
        assert_eq!(guess("eth_5m.csv"), None);
    }
}
