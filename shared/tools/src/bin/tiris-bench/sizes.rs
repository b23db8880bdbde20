//! How much is measured.
//!
//! Owns: the variables, and the sizes of a full run. Must not know: what they mean for a scenario.

use std::collections::BTreeMap;
use std::time::Duration;

/// Sizes; those not given are chosen so that a run of everything ends within a quarter of an hour on two cores.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SizeArgs {
    /// How often each figure is measured
    #[arg(long, env = "BENCH_REPEAT", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=99))]
    repeat: Option<u64>,
    /// Events of a backlog (S1, S2, and half of them in S4, H24 and OVERHEAD) [default: 100000, full 200000]
    #[arg(long, env = "BENCH_EVENTS", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1000..))]
    events: Option<u64>,
    /// Rows stored before events are written (S4) [default: 600000, full 20000000]
    #[arg(long, env = "BENCH_STORED", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1000..))]
    stored: Option<u64>,
    /// Events that wait after an outage (S5) [default: 400000, full 1000000]
    #[arg(long, env = "BENCH_WAITING", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1000..))]
    waiting: Option<u64>,
    /// Rows of the account whose pages are read (S7) [default: 300000, full 1000000]
    #[arg(long, env = "BENCH_PAGED", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(2000..))]
    paged: Option<u64>,
    /// Rows of each month of history (H24) [default: 20000, full 500000]
    #[arg(long, env = "BENCH_MONTH", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(100..))]
    month: Option<u64>,
    /// Seconds of each load over HTTP and of each pgbench [default: 5, full 15]
    #[arg(long, env = "BENCH_SECONDS", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: Option<u64>,
    /// The sizes of the targets: takes hours
    #[arg(long, env = "BENCH_FULL", value_parser = clap::builder::FalseyValueParser::new())]
    full: bool,
}

/// Chosen sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) repeat: u64,
    pub(crate) events: u64,
    pub(crate) stored: u64,
    pub(crate) waiting: u64,
    pub(crate) paged: u64,
    pub(crate) month: u64,
    seconds: u64,
}

impl SizeArgs {
    pub(crate) fn sizes(&self) -> Sizes {
        let pick =
            |given: Option<u64>, usual, full| given.unwrap_or(if self.full { full } else { usual });
        Sizes {
            repeat: pick(self.repeat, 3, 5),
            events: pick(self.events, 100_000, 200_000),
            stored: pick(self.stored, 600_000, 20_000_000),
            waiting: pick(self.waiting, 400_000, 1_000_000),
            paged: pick(self.paged, 300_000, 1_000_000),
            month: pick(self.month, 20_000, 500_000),
            seconds: pick(self.seconds, 5, 15),
        }
    }
}

impl Sizes {
    /// Of a load over HTTP.
    pub(crate) const fn load_time(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// For the report.
    pub(crate) fn named(self) -> BTreeMap<String, u64> {
        let all = [
            ("repeat", self.repeat),
            ("events", self.events),
            ("stored", self.stored),
            ("waiting", self.waiting),
            ("paged", self.paged),
            ("month", self.month),
            ("seconds", self.seconds),
        ];
        all.map(|(name, value)| (name.to_owned(), value)).into()
    }
}
