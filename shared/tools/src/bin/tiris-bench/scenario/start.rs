//! S10: from start to ready, memory when idle, size of the programs.

use crate::bench::{Bench, LOG, MANY, Outcome};
use crate::figure::{Line, Samples, Target, Unit};
use crate::memory;
use crate::worker::Worker;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use tiris_testing::{binary, local_http_client};

const READY_MOST_MICROS: u64 = 300_000;
const IDLE_MOST_KIB: u64 = 40 * 1_024;
const BINARY_MOST_KIB: u64 = 25 * 1_024;
/// What is allocated at first use is there after this time.
const IDLE_AFTER: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(2);
const READY_LIMIT: Duration = Duration::from_secs(30);

/// The figures of one program.
#[derive(Default)]
struct Program {
    ready: Samples,
    idle: Samples,
}

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let site = bench.site(MANY).await?;
    let mut api = Program::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S10: tiris-api, round {round}"))?;
        let begun = Instant::now();
        let server = bench.stage.launch_api(&site.database.url, LOG)?;
        api.measure(&server.ready_url(), server.process.pid(), begun)
            .await?;
    }

    let mut ingest = Program::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S10: tiris-ingest, round {round}"))?;
        let begun = Instant::now();
        let worker = Worker::start(&bench.stage, &site.database, &site.nats, LOG)?;
        ingest
            .measure(&worker.ready_url(), worker.process.pid(), begun)
            .await?;
        worker.stop().await?;
    }
    site.close(&bench.stage).await?;

    let mut lines = api.lines("tiris-api")?;
    lines.extend(ingest.lines("tiris-ingest")?);
    Ok(lines.into())
}

impl Program {
    async fn measure(&mut self, ready_url: &str, pid: u32, begun: Instant) -> Result<()> {
        self.ready.add(until_ready(ready_url, begun).await?);
        tokio::time::sleep(IDLE_AFTER).await;
        self.idle.extend(memory::resident_kib(pid));
        Ok(())
    }

    fn lines(self, name: &str) -> Result<Vec<Line>> {
        let bytes = std::fs::metadata(binary(name)?)?.len();
        let size = [bytes / 1_024].into_iter().collect();
        let line = |what: &str, unit, samples, most| {
            Line::new(format!("{name}: {what}"), unit, samples).target(Target::AtMost(most))
        };
        let kib = Unit::Kibibytes;

        Ok(vec![
            line(
                "start to ready",
                Unit::Micros,
                self.ready,
                READY_MOST_MICROS,
            ),
            line("resident memory when idle", kib, self.idle, IDLE_MOST_KIB),
            line("size of the program", kib, size, BINARY_MOST_KIB),
        ])
    }
}

/// Microseconds from `begun` to the first 200 of this address.
async fn until_ready(url: &str, begun: Instant) -> Result<u64> {
    let client = local_http_client(READY_LIMIT)?;
    loop {
        let answer = client.get(url).send().await;
        if answer.is_ok_and(|answer| answer.status().as_u16() == 200) {
            return u64::try_from(begun.elapsed().as_micros()).context("an age");
        }
        ensure!(begun.elapsed() < READY_LIMIT, "{url} is not ready");
        tokio::time::sleep(LOOK).await;
    }
}
