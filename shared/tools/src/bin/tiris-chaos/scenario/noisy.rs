//! One user publishes the worst valid and invalid events as fast as the broker takes them; the events of other users are
//! committed almost as if nothing had happened.

use crate::checks::probe::{in_each_lane, p99};
use crate::finish::end;
use crate::load::noise;
use crate::publishing::Publishing;
use crate::report::Outcome;
use crate::run::{Load, Options, Run};
use crate::system::worker::LANES;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tiris_domain::lane::lane_of;
use tokio_util::sync::CancellationToken;

/// Other users publish all the time.
const LOAD: Load = Load {
    name: "noisy",
    events: 2_000,
    duration: Duration::from_secs(30),
    has_unreadable: true,
};
/// The 99th percentile from publish to commit in the lane of the noise, and in the other lanes.
const SAME_LANE_MAX: Duration = Duration::from_secs(1);
const OTHER_LANES_MAX: Duration = Duration::from_millis(100);
/// A debug build takes this many times as long to parse messages, on a machine that may be busy.
const DEBUG_FACTOR: u32 = 20;

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let (run, publishing) = Publishing::begin(LOAD, options).await?;
    let measured = measure(&run).await;
    end(run, publishing, measured.map(|()| Vec::new())).await
}

/// Publishes the noise of the first user while probes of other users measure each lane.
async fn measure(run: &Arc<Run>) -> Result<()> {
    run.phase("noise");
    let lanes = u16::try_from(LANES)?;
    let noisy = run.users.first().context("no user")?;
    let noisy_lane = lane_of(noisy.id, lanes);
    let stop = CancellationToken::new();
    let mut probes = in_each_lane(run, &run.users[1..], &stop)?;

    let published = noise::publish(run, noisy).await;
    tokio::time::sleep(LOAD.duration.saturating_sub(run.begun.elapsed())).await;
    stop.cancel();
    let mut times: BTreeMap<bool, Vec<Duration>> = BTreeMap::new();
    while let Some(ended) = probes.join_next().await {
        let (lane, of_lane) = ended??;
        times.entry(lane == noisy_lane).or_default().extend(of_lane);
    }
    published?;

    judge(
        run,
        "in the lane of the noise",
        times.remove(&true),
        SAME_LANE_MAX,
    )?;
    judge(run, "in other lanes", times.remove(&false), OTHER_LANES_MAX)
}

fn judge(run: &Run, place: &str, times: Option<Vec<Duration>>, limit: Duration) -> Result<()> {
    let mut times = times.with_context(|| format!("no user {place}"))?;
    let factor = if cfg!(debug_assertions) {
        DEBUG_FACTOR
    } else {
        1
    };
    let limit = limit * factor;
    let count = times.len();
    let slowest = p99(&mut times);

    run.faults
        .add(&format!("probes {place}"), u64::try_from(count)?);
    run.faults
        .add_millis(&format!("p99 from publish to commit {place}"), slowest)?;
    if slowest > limit {
        run.wrong(&format!("p99 {place} is {slowest:?}, more than {limit:?}"));
    }
    Ok(())
}
