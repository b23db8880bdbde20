//! The lanes of this worker: takes its fair share, gives the surplus back, renews its leases.
//!
//! Owns one task per lane, and the interval at which workers read the same tables. A defect here costs speed, never
//! correctness: each transaction of a lane checks its owner and epoch.

mod share;

use crate::context::Context;
use crate::lane::Lane;
use crate::status::{Lag, Line, gauges};
use crate::stream::state_of;
use crate::transaction::within_limit;
use anyhow::Context as _;
use chrono::Utc;
use share::Move;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::dead_letters;
use tiris_store::error::{Error, Result};
use tiris_store::lanes::{self, HeldLane, Report, TakenLane, detours};
use tiris_store::workers::{self, Living, Worker};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Rounds per lease; a few may fail without the loss of a lane.
const ROUNDS_PER_LEASE: u32 = 5;

/// Takes, runs and gives back the lanes of this worker.
#[derive(Debug)]
pub(crate) struct LaneManager {
    context: Context,
    worker: Worker,
    held: BTreeMap<LaneKey, Held>,
    /// Tasks of the lanes; each returns its lane and epoch.
    tasks: JoinSet<(LaneKey, i64)>,
}

/// A lane that has a task.
#[derive(Debug)]
struct Held {
    epoch: i64,
    stop: CancellationToken,
}

impl Held {
    fn is_running(&self) -> bool {
        !self.stop.is_cancelled()
    }
}

impl LaneManager {
    /// Returns a manager without lanes.
    pub(crate) fn new(context: Context) -> Self {
        let host = nix::unistd::gethostname().unwrap_or_default();
        Self {
            worker: Worker {
                id: tiris_domain::ids::new_id(),
                owner: context.owner,
                version: env!("CARGO_PKG_VERSION"),
                host: host.into_string().unwrap_or_default(),
            },
            context,
            held: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Creates the missing rows of lanes, and deletes workers that died long ago.
    pub(crate) async fn prepare(&self) -> Result<()> {
        workers::forget_dead(&self.context.pool).await?;
        for stream in EventStream::ALL {
            let found = state_of(&self.context.connection, stream).await?;
            let lanes = self.context.lanes;
            let keys: Vec<LaneKey> = (0..=lanes).map(|lane| LaneKey { stream, lane }).collect();
            lanes::ensure(&self.context.pool, &keys, found.created_at).await?;
            let moved = dead_letters::rehome(&self.context.pool, stream, lanes).await?;
            if moved > 0 {
                let stream = stream.name();
                tracing::info!(
                    stream,
                    moved,
                    "moved waiting dead letters to the new lanes of their users"
                );
            }
        }

        Ok(())
    }

    /// Runs a fair share of the lanes until `stop`; then every lane finishes its batch, within `limit`.
    ///
    /// # Errors
    /// A lane's task panicked: a defect after which the process should not continue.
    pub(crate) async fn run(
        &mut self,
        stop: &CancellationToken,
        limit: Duration,
    ) -> anyhow::Result<()> {
        let mut rounds = tokio::time::interval(self.context.lease / ROUNDS_PER_LEASE);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);

        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = self.tasks.join_next() => self.note_end(ended.context("a lane panicked")?),
                _ = rounds.tick() => match stop.run_until_cancelled(within_limit(self.round())).await {
                    None => break,
                    Some(Ok(())) => {}
                    Some(Err(error)) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "could not renew and acquire lanes");
                    }
                },
            }
        }
        for held in self.held.values() {
            held.stop.cancel();
        }
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all_ended).await.is_err() {
            let lanes = self.tasks.len();
            tracing::warn!(lanes, "lanes did not stop in time, aborting them");
            self.tasks.shutdown().await;
        }

        Ok(())
    }

    /// Gives all lanes back within `limit`, so that other workers need not wait for the leases to end.
    pub(crate) async fn leave(&self, limit: Duration) {
        let leaving = async {
            lanes::release_all(&self.context.pool, self.worker.owner).await?;
            workers::remove(&self.context.pool, &self.worker).await
        };
        match tokio::time::timeout(limit, leaving).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "could not release the lanes");
            }
            Err(_) => tracing::warn!("releasing the lanes took too long"),
        }
    }

    async fn round(&mut self) -> Result<()> {
        let pool = &self.context.pool;
        let lease = self.context.lease;
        let owner = self.worker.owner;
        let living = workers::renew(pool, &self.worker, lease).await?;
        self.switch_detours(living);

        // Only lanes with a task: a lane that could not be given back must not stay ours.
        let lines = self.context.board.lines();
        let running = self.held.keys();
        let running = running.filter_map(|key| Some((*key, lines.get(key)?)));
        let reports: Vec<Report> = running.map(|(key, line)| report(key, line)).collect();
        gauges::gauge_states(&lines);
        lanes::renew(pool, owner, lease, &reports).await?;
        self.drop_lost(&lanes::held(pool, owner).await?);

        let count = |lanes: usize| u32::try_from(lanes).map_err(|e| Error::Internal(e.into()));
        let all = EventStream::ALL.len() * (usize::from(self.context.lanes) + 1);
        let held = self.held.values().filter(|held| held.is_running()).count();
        match share::decide(count(all)?, living.count, count(held)?) {
            Move::GiveBack(surplus) => {
                let kept = self.kept_lanes(living).await?;
                self.give_back(surplus, &kept);
            }
            Move::Take(0) => {}
            Move::Take(most) => {
                for taken in lanes::take_free(pool, owner, lease, most).await? {
                    self.start(taken);
                }
            }
        }
        self.context.board.stand_by();
        Ok(())
    }

    /// Stops lanes that the database assigns to other workers. An idle lane would not notice for a while.
    fn drop_lost(&self, ours: &[HeldLane]) {
        for (key, held) in self.held.iter().filter(|(_, held)| held.is_running()) {
            let epoch = held.epoch;
            if !ours.contains(&HeldLane { key: *key, epoch }) {
                tracing::warn!(lane = %key, epoch, "lost the lane to another worker");
                count_lost(*key);
                held.stop.cancel();
            }
        }
    }

    fn start(&mut self, taken: TakenLane) {
        let key = taken.key;
        let epoch = taken.state.epoch;
        let stop = CancellationToken::new();
        tracing::debug!(lane = %key, epoch, "acquired a lane");
        metrics::counter!("ingest_lanes_taken_total", "stream" => key.stream.name()).increment(1);
        let held = Held {
            epoch,
            stop: stop.clone(),
        };
        if let Some(earlier) = self.held.insert(key, held) {
            // Its lease ended before it was given back; with the earlier epoch it cannot write any more.
            earlier.stop.cancel();
        }

        let context = self.context.clone();
        let lane = Lane::new(context.clone(), key, taken.state);
        self.tasks.spawn(async move {
            if !lane.run(stop).await {
                count_lost(key);
                return (key, epoch);
            }
            let released = lanes::release(&context.pool, context.owner, epoch, key).await;
            if let Err(error) = released {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(lane = %key, error, "could not release the lane");
            }
            (key, epoch)
        });
    }

    /// Lets detours begin unless a worker of an earlier version lives.
    fn switch_detours(&self, living: Living) {
        let before = self.context.detours.set(living.keep_detours);
        if before && !living.keep_detours {
            tracing::info!("a worker of an earlier version runs: no user is passed over meanwhile");
        }
    }

    /// Returns the lanes that must not go to a worker of an earlier version.
    async fn kept_lanes(&self, living: Living) -> Result<BTreeSet<LaneKey>> {
        if living.keep_detours {
            return Ok(BTreeSet::new());
        }
        detours::lanes(&self.context.pool).await
    }

    fn give_back(&self, surplus: u32, kept: &BTreeSet<LaneKey>) {
        let running = self.held.iter().rev();
        let running = running.filter(|(key, held)| held.is_running() && !kept.contains(key));
        for ((key, held), _) in running.zip(0..surplus) {
            tracing::debug!(lane = %key, "releasing a lane");
            held.stop.cancel();
        }
    }

    fn note_end(&mut self, (key, epoch): (LaneKey, i64)) {
        // The lane may have been taken again with another epoch.
        if self.held.get(&key).is_some_and(|held| held.epoch == epoch) {
            self.held.remove(&key);
            self.context.board.remove(key);
            gauges::gauge_lag(key, Lag::NONE, 0);
        }
    }
}

fn count_lost(key: LaneKey) {
    metrics::counter!("ingest_lanes_lost_total", "stream" => key.stream.name()).increment(1);
}

/// Returns the report for the lane's row, and sets the same figures as metrics.
fn report(key: LaneKey, line: &Line) -> Report {
    // Beyond the year 2262 every lag is long.
    let now = Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX);
    gauges::gauge_lag(key, line.lag, now);

    Report {
        key,
        status: line.condition.status(),
        reason: line.condition.reason(),
        lag_messages: line.lag.messages,
        lag_exact: line.lag.exact,
        lag_age: line.lag.age(now),
    }
}
