//! OVERHEAD: a backlog and reads over HTTP with metrics and info logs, beside the same without both.

use super::read;
use crate::figure::{Line, Samples, Target};
use crate::site::{Bench, LOG, MANY, Outcome};
use crate::wrk;
use anyhow::Result;
use std::time::Duration;
use tiris_tools::Population;

/// Minimum rate relative to that without logs and metrics, in thousandths.
const LEAST: u64 = 950;
/// Without logs the programs are started without metrics, too.
const NO_LOG: &str = "off";

/// With, without, without, with: a drift during a round does not change the ratio.
const ROUND: [&str; 4] = [LOG, NO_LOG, NO_LOG, LOG];
/// The turns of a round of reads, and the time of each read: on a shared machine neighbouring seconds differ by a tenth.
const TURNS: usize = 8;
const TURN: Duration = Duration::from_secs(1);

/// The rates with logs and metrics, and without.
#[derive(Default)]
struct Rates {
    with: Samples,
    without: Samples,
}

impl Rates {
    /// Adds the means of a round, of the rates in the order of [`ROUND`].
    fn add(&mut self, rates: &[u64]) {
        let mean = |log: &str| {
            let known = ROUND.iter().cycle().zip(rates);
            let of_log = known.filter(|(known, _)| **known == log);
            let of_log: Vec<u64> = of_log.map(|(_, rate)| *rate).collect();
            of_log.iter().sum::<u64>() / u64::try_from(of_log.len()).unwrap_or(1).max(1)
        };
        self.with.add(mean(LOG));
        self.without.add(mean(NO_LOG));
    }

    fn line(self, what: &str) -> Line {
        let what = format!("{what} with metrics and info logs");
        Line::rate(what, self.with, self.without)
            .target(Target::RatioAtLeast(LEAST))
            .note("the limit is the same without both")
    }
}

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    Ok(vec![
        backlogs(bench).await?.line("ingest of a backlog"),
        reads(bench).await?.line("GET /v1/sub-accounts/{id}"),
    ]
    .into())
}

async fn backlogs(bench: &Bench) -> Result<Rates> {
    let mut all = Rates::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("OVERHEAD: backlog, round {round}"))?;
        let mut rates = Vec::new();
        for log in ROUND {
            let events = bench.sizes.events / 2;
            let drained = bench.fresh_backlog(MANY, events, log).await?;
            rates.push(drained.rate());
        }
        all.add(&rates);
    }
    Ok(all)
}

/// Both processes run all the time; the idle one costs nothing.
async fn reads(bench: &Bench) -> Result<Rates> {
    let database = bench.stage.database(MANY).await?;
    database.vacuum().await?;
    let path = read::path();
    let with = bench.stage.start_api(&database.url, LOG).await?;
    let without = bench.stage.start_api(&database.url, NO_LOG).await?;
    let token = with.token(&Population::email(0)).await?;

    let mut all = Rates::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("OVERHEAD: one account, round {round}"))?;
        let mut rates = Vec::new();
        for log in ROUND.repeat(TURNS) {
            let api = if log == LOG { &with } else { &without };
            let load = read::load(&path, &token, TURN);
            rates.push(wrk::run(bench, &api.url(), load).await?.rate());
        }
        all.add(&rates);
    }
    drop(with);
    drop(without);
    bench.stage.drop(database).await?;
    Ok(all)
}
