//! The prices the bot trades on: a candle file read exactly, or a series made as it goes.
//!
//! Owns: reading and checking candles, and guessing the symbol from a file name. Must not know: what is done with them.

use super::series::Series;
use anyhow::Context;
use chrono::{DateTime, Utc};
use std::path::Path;
use tiris_domain::money::Money;

/// Highest price taken, in units of 10^-12: below it, sums over a thousand candles stay far inside 128 bits.
const PRICE_UNITS_MAX: i128 = 10i128.pow(21);
/// The symbol traded when nothing else is said.
pub(super) const SYMBOL_DEFAULT: &str = "ETH/BTC";

/// What the bot looks at once per step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candle {
    /// When it is; strictly rising within a file.
    pub(super) time: DateTime<Utc>,
    /// The price all decisions and fills use.
    pub(super) close: Money,
}

/// Where the next candle comes from.
#[derive(Debug)]
pub(super) enum Feed {
    /// A file, read as a whole.
    File(std::vec::IntoIter<Candle>),
    /// Made on the spot; `left` is `None` when it never ends.
    Made {
        /// The prices.
        series: Series,
        /// Candles still to come.
        left: Option<u64>,
    },
}

impl Feed {
    /// How many candles are still to come, when that is known.
    pub(super) fn remaining(&self) -> Option<u64> {
        match self {
            Self::File(candles) => u64::try_from(candles.len()).ok(),
            Self::Made { left, .. } => *left,
        }
    }

    /// When a file begins; a series that is made begins when it is.
    pub(super) fn begins(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::File(candles) => candles.as_slice().first().map(|candle| candle.time),
            Self::Made { .. } => None,
        }
    }
}

impl Iterator for Feed {
    type Item = Candle;

    fn next(&mut self) -> Option<Candle> {
        match self {
            Self::File(candles) => candles.next(),
            Self::Made { series, left } => {
                if let Some(left) = left {
                    *left = left.checked_sub(1)?;
                }
                Some(Candle {
                    time: Utc::now(),
                    close: series.next_close(),
                })
            }
        }
    }
}

/// Reads a candle file; the error names the line that is wrong and why.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Candle>> {
    let file = std::fs::File::open(path)
        .with_context(|| format!("cannot open the candle file {}", path.display()))?;
    parse(file).with_context(|| format!("cannot use the candle file {}", path.display()))
}

fn parse(input: impl std::io::Read) -> anyhow::Result<Vec<Candle>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(input);
    let headers = reader
        .headers()
        .context("line 1 is no list of columns")?
        .clone();
    let column = |name: &str| {
        let mut names = headers.iter();
        let found = names.position(|header| header.eq_ignore_ascii_case(name));
        found.with_context(|| {
            format!("line 1 names no column {name}; expected are time,open,high,low,close,volume")
        })
    };
    let time = column("time")?;
    let close = column("close")?;

    let mut candles: Vec<Candle> = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let candle =
            parse_candle(&record[time], &record[close]).with_context(|| format!("line {line}"))?;
        if candles.last().is_some_and(|last| last.time >= candle.time) {
            anyhow::bail!("line {line}: its time is not after the line before");
        }
        candles.push(candle);
    }
    anyhow::ensure!(!candles.is_empty(), "it has no candles");
    Ok(candles)
}

fn parse_candle(time: &str, close: &str) -> anyhow::Result<Candle> {
    let time = DateTime::parse_from_rfc3339(time)
        .with_context(|| format!("time {time:?} is not RFC 3339"))?
        .to_utc();
    let price: Money = close
        .parse()
        .map_err(|why| anyhow::anyhow!("close {close:?}: {why}"))?;
    if !price.is_positive() || price.units() > PRICE_UNITS_MAX {
        anyhow::bail!("close {close:?} must be above zero and at most 1000000000");
    }
    Ok(Candle { time, close: price })
}

/// The symbol a file name such as `eth_btc_5m.csv` speaks of.
pub(super) fn symbol_of_file(path: &Path) -> Option<String> {
    const ASSET_CHARS_MIN: usize = 2;
    let stem = path.file_stem()?.to_str()?.to_ascii_uppercase();
    let mut parts = stem.split(['_', '-']);
    let base = parts.next()?;
    let quote = parts.next()?;
    let is_asset = |part: &str| {
        part.len() >= ASSET_CHARS_MIN && part.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    (is_asset(base) && is_asset(quote)).then(|| format!("{base}/{quote}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        format!("{:#}", parse(text.as_bytes()).expect_err(text))
    }

    #[test]
    fn a_candle_file_is_read_to_the_last_digit() {
        let text = "time,open,high,low,close,volume\n\
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
    fn a_bad_candle_file_is_refused_with_the_line_that_is_wrong() {
        assert!(error_of("time,open\n").contains("no column close"));
        assert!(error_of("time,close\n").contains("no candles"));
        assert!(error_of("time,close\nyesterday,1\n").contains("line 2"));
        assert!(error_of("time,close\n2018-01-10T05:00:00Z,0.1e\n").contains("line 2"));
        assert!(error_of("time,close\n2018-01-10T05:00:00Z,0\n").contains("above zero"));
        let twice = "time,close\n2018-01-10T05:00:00Z,1\n2018-01-10T05:00:00Z,1\n";
        assert!(error_of(twice).contains("line 3"));
    }

    #[test]
    fn the_symbol_comes_from_the_file_name_when_it_tells_one() {
        let guess = |name: &str| symbol_of_file(Path::new(name));
        assert_eq!(guess("/data/eth_btc_5m.csv").as_deref(), Some("ETH/BTC"));
        assert_eq!(guess("sol-usdt.csv").as_deref(), Some("SOL/USDT"));
        assert_eq!(guess("candles.csv"), None);
        assert_eq!(guess("eth_5m.csv"), None);
    }
}
