//! S10: from start to ready, memory when idle, size of the programs.

use super::{Bench, LOG, MANY, Outcome};
use crate::api::Api;
use crate::figure::{Line, Samples, Target, Unit};
use crate::memory;
use crate::worker::Worker;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use tiris_testing::binary;

const READY_MOST_MICROS: u64 = 300_000;
const IDLE_MOST_KIB: u64 = 40 * 1_024;
const BINARY_MOST_KIB: u64 = 25 * 1_024;
/// What is allocated at first use is there after this time.
const IDLE_AFTER: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(2);
const READY_LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let site = bench.site(MANY).await?;
    let mut lines = Vec::new();
    let (mut ready, mut idle) = (Samples::default(), Samples::default());
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S10: tiris-api, round {round}"))?;
        let begun = Instant::now();
        let api = Api::launch(&bench.stage, &site.database.url, LOG)?;
        ready.add(until_ready(&api.health(), begun).await?);
        tokio::time::sleep(IDLE_AFTER).await;
        idle.extend(memory::resident_kib(api.process.pid()));
    }
    lines.extend(of_program("tiris-api", ready, idle)?);
    let (mut ready, mut idle) = (Samples::default(), Samples::default());
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S10: tiris-ingest, round {round}"))?;
        let begun = Instant::now();
        let worker = Worker::start(&bench.stage, &site.database, &site.nats, LOG)?;
        ready.add(until_ready(&worker.health(), begun).await?);
        tokio::time::sleep(IDLE_AFTER).await;
        idle.extend(memory::resident_kib(worker.process.pid()));
        worker.stop().await?;
    }
    lines.extend(of_program("tiris-ingest", ready, idle)?);
    site.close(&bench.stage).await?;
    Ok(lines.into())
}

fn of_program(name: &str, ready: Samples, idle: Samples) -> Result<Vec<Line>> {
    let bytes = std::fs::metadata(binary(name)?)?.len();
    let size = [bytes / 1_024].into_iter().collect();
    let line = |what: &str, unit, samples, most| {
        Line::new(format!("{name}: {what}"), unit, samples).target(Target::AtMost(most))
    };
    Ok(vec![
        line("start to ready", Unit::Micros, ready, READY_MOST_MICROS),
        line(
            "resident memory when idle",
            Unit::Kibibytes,
            idle,
            IDLE_MOST_KIB,
        ),
        line(
            "size of the program",
            Unit::Kibibytes,
            size,
            BINARY_MOST_KIB,
        ),
    ])
}

/// Microseconds from `begun` to the first 200 of this address.
async fn until_ready(url: &str, begun: Instant) -> Result<u64> {
    let client = reqwest::Client::builder()
        .timeout(READY_LIMIT)
        .no_proxy()
        .build()?;
    loop {
        if client
            .get(url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().as_u16() == 200)
        {
            return u64::try_from(begun.elapsed().as_micros()).context("an age");
        }
        ensure!(begun.elapsed() < READY_LIMIT, "{url} is not ready");
        tokio::time::sleep(LOOK).await;
    }
}
