//! The sizes of a run: options and environment variables with their defaults.

use serde::{Deserialize, Serialize};
use std::time::Duration;

macro_rules! sizes {
    ($($name:ident, $env:literal, $unit:literal, $range:expr, $usual:literal, $full:literal, $help:literal;)*) => {
        /// Options; a default depends on `full`.
        #[derive(clap::Args, Clone, Debug)]
        pub(crate) struct SizeArgs {
            $(
                #[arg(long, env = $env, value_name = $unit, value_parser = clap::value_parser!(u64).range($range),
                      help = concat!($help, " [default: ", $usual, ", full ", $full, "]"))]
                $name: Option<u64>,
            )*
            /// Use the sizes of the targets, which takes hours
            #[arg(long, env = "BENCH_FULL", value_parser = clap::builder::FalseyValueParser::new())]
            full: bool,
        }

        /// The sizes of a run. Without options, a run of all scenarios takes a quarter of an hour on two cores.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) struct Sizes {
            $(pub(crate) $name: u64,)*
        }

        impl SizeArgs {
            pub(crate) fn sizes(&self) -> Sizes {
                Sizes {
                    $($name: self.$name.unwrap_or(if self.full { $full } else { $usual }),)*
                }
            }
        }
    };
}

sizes! {
    repeat, "BENCH_REPEAT", "COUNT", 1..=99, 3, 5, "Repetitions of each measurement";
    events, "BENCH_EVENTS", "COUNT", 1_000.., 100_000, 200_000,
        "Events of a backlog (S1, S2, FILLS; half of them in S4, H24 and OVERHEAD)";
    stored, "BENCH_STORED", "COUNT", 1_000.., 600_000, 20_000_000, "Rows stored before events are written (S4)";
    waiting, "BENCH_WAITING", "COUNT", 1_000.., 400_000, 1_000_000, "Events waiting after an outage (S5)";
    paged, "BENCH_PAGED", "COUNT", 2_000.., 300_000, 1_000_000, "Rows of the account whose pages are read (S7)";
    month, "BENCH_MONTH", "COUNT", 100.., 20_000, 500_000, "Rows of each month of history (H24)";
    seconds, "BENCH_SECONDS", "SECONDS", 1..=600, 5, 15, "Seconds of each HTTP load and of each pgbench run";
}

impl Sizes {
    /// Returns the duration of an HTTP load.
    pub(crate) const fn load_time(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
