//! OVERHEAD: a backlog and reads over HTTP with metrics and logs of level info, beside the same with neither.

use super::read;
use crate::bench::{Bench, LOG, MANY, Outcome};
use crate::figure::{Line, Samples, Target, Unit};
use crate::people::People;
use crate::wrk;
use anyhow::Result;
use std::time::Duration;

/// Of the rate without, in thousandths.
const LEAST: u64 = 950;
/// Without logs the programs are started without metrics, too.
const NO_LOG: &str = "off";

/// With, without, without, with: what drifts during a round changes no ratio.
const ROUND: [&str; 4] = [LOG, NO_LOG, NO_LOG, LOG];
/// How often a round of reads does that, and how long each read takes: on a shared machine seconds next to each other
/// differ by a tenth.
const TURNS: usize = 8;
const TURN: Duration = Duration::from_secs(1);

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let line = |what: &str, [with, without]: [Samples; 2]| {
        Line::new(what, Unit::PerSecond, with)
            .against(without)
            .target(Target::RatioAtLeast(LEAST))
            .note("the limit is the same with neither")
    };
    let lines = vec![
        line(
            "ingest of a backlog with metrics and info logs",
            backlogs(bench).await?,
        ),
        line(
            "GET /v1/sub-accounts/{id} with metrics and info logs",
            reads(bench).await?,
        ),
    ];

    Ok(lines.into())
}

async fn backlogs(bench: &Bench) -> Result<[Samples; 2]> {
    let mut samples = [Samples::default(), Samples::default()];
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("OVERHEAD: backlog, round {round}"))?;
        let mut rates = Vec::new();
        for log in ROUND {
            let events = bench.sizes.events / 2;
            let drained = bench.fresh_backlog(MANY, events, log).await?;
            rates.push(drained.rate());
        }
        add(&mut samples, &rates);
    }
    Ok(samples)
}

/// Both processes are there all the time; the one that is not asked costs nothing.
async fn reads(bench: &Bench) -> Result<[Samples; 2]> {
    let database = bench.stage.database(MANY).await?;
    database.settle().await?;
    let path = read::path();
    let with = bench.stage.start_api(&database, LOG).await?;
    let without = bench.stage.start_api(&database, NO_LOG).await?;
    let token = with.token(&People::email(0)).await?;

    let mut samples = [Samples::default(), Samples::default()];
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("OVERHEAD: one account, round {round}"))?;
        let mut rates = Vec::new();
        for log in ROUND.repeat(TURNS) {
            let api = if log == LOG { &with } else { &without };
            let load = read::load(&path, &token, TURN, 0);
            let answered = wrk::ask(&api.url(), bench.stage.files(), &load).await?;
            rates.push(answered.rate());
        }
        add(&mut samples, &rates);
    }
    drop(with);
    drop(without);
    bench.stage.drop(database).await?;
    Ok(samples)
}

/// The means of a round.
fn add([with, without]: &mut [Samples; 2], rates: &[u64]) {
    let mean = |log: &str| {
        let of_log = ROUND
            .iter()
            .cycle()
            .zip(rates)
            .filter(|(known, _)| **known == log);
        let of_log: Vec<u64> = of_log.map(|(_, rate)| *rate).collect();
        of_log.iter().sum::<u64>() / u64::try_from(of_log.len()).unwrap_or(1).max(1)
    };
    with.add(mean(LOG));
    without.add(mean(NO_LOG));
}
