//! S10: the time from start to ready, idle memory, the size of the programs.

use crate::figure::{Line, Samples, Target, Unit};
use crate::site::{Bench, LOG, MANY, Outcome, Site};
use crate::worker;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use tiris_testing::{binary, local_http_client};
use tiris_tools::{Service, memory_kib};

const READY_MOST_MICROS: u64 = 300_000;
const IDLE_MOST_KIB: u64 = 40 * 1_024;
const BINARY_MOST_KIB: u64 = 25 * 1_024;
/// Memory for the first use is allocated after this time.
const IDLE_AFTER: Duration = Duration::from_secs(3);
const POLL_INTERVAL: Duration = Duration::from_millis(2);
const READY_LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let site = Site::open(&bench.stage, MANY).await?;
    let launch_api = || {
        let api = bench.stage.launch_api(&site.database.url, LOG)?;
        Ok(api.service)
    };
    let launch_ingest = || worker::launch(&bench.stage, &site.database, &site.nats, LOG);

    let mut lines = measure(bench, "tiris-api", launch_api).await?;
    lines.extend(measure(bench, "tiris-ingest", launch_ingest).await?);
    site.check_and_close(&bench.stage).await?;
    Ok(lines.into())
}

async fn measure(
    bench: &Bench,
    name: &str,
    launch: impl Fn() -> Result<Service>,
) -> Result<Vec<Line>> {
    let mut ready = Samples::default();
    let mut idle = Samples::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S10: {name}, round {round}"))?;
        let begun = Instant::now();
        let mut service = launch()?;
        ready.add(until_ready(&service.ready_url(), begun).await?);

        tokio::time::sleep(IDLE_AFTER).await;
        idle.0.extend(memory_kib(service.process.pid(), "VmRSS"));
        service.stop().await?;
    }

    let size = Samples(vec![std::fs::metadata(binary(name)?)?.len() / 1_024]);
    let memory = "resident memory when idle";
    let kib = Unit::Kibibytes;
    let figures = [
        ("start to ready", Unit::Micros, ready, READY_MOST_MICROS),
        (memory, kib, idle, IDLE_MOST_KIB),
        ("program size", kib, size, BINARY_MOST_KIB),
    ];
    let lines = figures.map(|(what, unit, samples, most)| {
        Line::new(format!("{name}: {what}"), unit, samples).target(Target::AtMost(most))
    });
    Ok(lines.into())
}

/// Polls until the first status 200 and returns the microseconds since `begun`.
async fn until_ready(url: &str, begun: Instant) -> Result<u64> {
    let client = local_http_client(READY_LIMIT)?;
    loop {
        let response = client.get(url).send().await;
        if response.is_ok_and(|response| response.status().as_u16() == 200) {
            return Ok(u64::try_from(begun.elapsed().as_micros())?);
        }
        ensure!(begun.elapsed() < READY_LIMIT, "{url} is not ready");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
