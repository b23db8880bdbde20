//! OVERHEAD: a backlog and reads over HTTP with metrics and logs of level info, beside the same with neither.

use super::{Bench, LOG, MANY, Outcome, read};
use crate::api::Api;
use crate::figure::{Line, Samples, Target, Unit};
use anyhow::Result;

/// Of the rate without, in thousandths.
const LEAST: u64 = 950;
/// Without logs the programs are started without metrics, too.
const NO_LOG: &str = "off";

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let (mut with, mut without) = (Samples::default(), Samples::default());
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("OVERHEAD: backlog, round {round}"))?;
        with.add(bench.fresh_backlog(MANY, bench.sizes.events / 2, LOG).await?.rate());
        without.add(bench.fresh_backlog(MANY, bench.sizes.events / 2, NO_LOG).await?.rate());
    }
    let line = |what: &str, with, without| {
        Line::new(what, Unit::PerSecond, with)
            .against(without)
            .target(Target::RatioAtLeast(LEAST))
            .note("the limit is the same with neither")
    };
    let ingest = line("ingest of a backlog with metrics and info logs", with, without);
    let database = bench.stage.database(MANY).await?;
    database.settle().await?;
    let (path, email) = read::asked();
    let (mut with, mut without) = (Samples::default(), Samples::default());
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("OVERHEAD: one account, round {round}"))?;
        for (log, samples) in [(LOG, &mut with), (NO_LOG, &mut without)] {
            let api = Api::start(&bench.stage, &database, log).await?;
            let token = api.token(&email).await?;
            samples.add(read::load(bench, &api, (&path, &token), 0).await?.rate());
        }
    }
    bench.stage.drop(database).await?;
    Ok(vec![ingest, line("GET /v1/sub-accounts/{id} with metrics and info logs", with, without)].into())
}
