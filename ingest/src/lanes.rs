//! The lanes this worker holds: takes its fair share, gives the surplus back, renews its leases.
//!
//! Owns: one task per lane and the rhythm in which workers agree by looking at the same tables. A mistake here costs speed,
//! never correctness: what a lane may write is decided by owner and epoch in its own transaction.

mod share;

use crate::context::Context;
use crate::lane::Lane;
use crate::status::{Lag, Line, gauges};
use crate::stream::state_of;
use crate::transaction::within_limit;
use anyhow::Context as _;
use chrono::Utc;
use share::Move;
use std::collections::BTreeMap;
use std::time::Duration;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::dead_letters;
use tiris_store::error::{Error, Result};
use tiris_store::lanes::{self, HeldLane, Report, TakenLane};
use tiris_store::workers::{self, Worker};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Looks at the tables so many times within a lease, so that a missed look loses no lane.
const LOOKS_PER_LEASE: u32 = 5;

/// The lanes of this worker.
#[derive(Debug)]
pub struct LaneManager {
    context: Context,
    worker: Worker,
    held: BTreeMap<LaneKey, Held>,
    /// Lane tasks; each returns its lane and epoch.
    tasks: JoinSet<(LaneKey, i64)>,
}

/// A lane in the hands of one of our tasks.
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
    /// A worker without lanes.
    #[must_use]
    pub fn new(context: Context, worker: Worker) -> Self {
        Self {
            context,
            worker,
            held: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Makes the rows of all lanes, as far as they are missing, and tidies up after workers long dead.
    pub async fn prepare(&self) -> Result<()> {
        workers::forget_dead(&self.context.pool).await?;
        for stream in EventStream::ALL {
            let found = state_of(&self.context.connection, stream).await?;
            let lanes = 0..=self.context.lanes;
            let keys: Vec<LaneKey> = lanes.map(|lane| LaneKey { stream, lane }).collect();
            lanes::ensure(&self.context.pool, &keys, found.created_at).await?;
            let moved =
                dead_letters::rehome(&self.context.pool, stream, self.context.lanes).await?;
            if moved > 0 {
                tracing::info!(
                    stream = stream.name(),
                    letters = moved,
                    "letters that wait went to their users' new lanes"
                );
            }
        }

        Ok(())
    }

    /// Holds a fair share of the lanes until `stop`; then every lane finishes its batch, for at most `limit`.
    ///
    /// # Errors
    /// When a lane's task panicked: a defect, after which nothing of this process should go on.
    pub async fn run(&mut self, stop: &CancellationToken, limit: Duration) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(self.context.lease / LOOKS_PER_LEASE);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);

        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = self.tasks.join_next() => self.note_end(ended.context("a lane failed unexpectedly")?),
                _ = look.tick() => {
                    let looked = tokio::select! {
                        () = stop.cancelled() => break,
                        looked = within_limit(self.look()) => looked,
                    };
                    if let Err(error) = looked {
                        tracing::warn!(error = &error as &dyn std::error::Error, "could not look after the lanes");
                    }
                }
            }
        }
        for held in self.held.values() {
            held.stop.cancel();
        }
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all_ended).await.is_err() {
            tracing::warn!(
                lanes = self.tasks.len(),
                "stopping took too long, cutting off what still runs"
            );
            self.tasks.shutdown().await;
        }

        Ok(())
    }

    /// Gives everything back at once, so that others need not wait for the leases to end.
    pub async fn leave(&self) -> Result<()> {
        lanes::release_all(&self.context.pool, self.worker.owner).await?;
        workers::remove(&self.context.pool, &self.worker).await
    }

    async fn look(&mut self) -> Result<()> {
        let pool = &self.context.pool;
        let lease = self.context.lease;
        let owner = self.worker.owner;
        let living = workers::renew(pool, &self.worker, lease).await?;

        // Only what a task of ours runs: a lane that could not be given back must not stay ours.
        let lines = self.context.board.lines();
        let running = self.held.keys();
        let reports: Vec<Report> = running
            .filter_map(|key| lines.get(key).map(|line| report(*key, line)))
            .collect();
        gauges::gauge_states(&lines);
        gauges::gauge_halted(&lines);
        lanes::renew(pool, owner, lease, &reports).await?;
        self.drop_lost(&lanes::held(pool, owner).await?);

        let count = |lanes: usize| u32::try_from(lanes).map_err(|e| Error::Internal(e.into()));
        let all = EventStream::ALL.len() * (usize::from(self.context.lanes) + 1);
        let held = self.held.values().filter(|held| held.is_running()).count();
        match share::decide(count(all)?, living, count(held)?) {
            Move::GiveBack(surplus) => self.give_back(surplus),
            Move::Take(0) => {}
            Move::Take(most) => {
                for taken in lanes::take_free(pool, owner, lease, most).await? {
                    self.start(&taken);
                }
            }
        }
        self.context.board.stand_by();
        Ok(())
    }

    /// Stops lanes that are not ours any more by the database. An idle one would not notice by itself for a while.
    fn drop_lost(&self, ours: &[HeldLane]) {
        for (key, held) in self.held.iter().filter(|(_, held)| held.is_running()) {
            let expected = HeldLane {
                key: *key,
                epoch: held.epoch,
            };
            if !ours.contains(&expected) {
                tracing::warn!(lane = %key, epoch = held.epoch, "the lane is not ours any more");
                count_lost(*key);
                held.stop.cancel();
            }
        }
    }

    fn start(&mut self, taken: &TakenLane) {
        let key = taken.key;
        let epoch = taken.state.epoch;
        let stop = CancellationToken::new();
        tracing::debug!(lane = %key, epoch, "took a lane");
        metrics::counter!("ingest_lanes_taken_total", "stream" => key.stream.name()).increment(1);
        let held = Held {
            epoch,
            stop: stop.clone(),
        };
        if let Some(earlier) = self.held.insert(key, held) {
            // Its lease ended before it could be given back; with the earlier epoch it can write nothing more.
            earlier.stop.cancel();
        }

        let context = self.context.clone();
        let lane = Lane::new(context.clone(), key, &taken.state);
        self.tasks.spawn(async move {
            if lane.run(stop).await {
                release(&context, key, epoch).await;
            } else {
                count_lost(key);
            }
            (key, epoch)
        });
    }

    fn give_back(&self, surplus: u32) {
        let running = self.held.iter().rev().filter(|(_, held)| held.is_running());
        for ((key, held), _) in running.zip(0..surplus) {
            tracing::debug!(lane = %key, "giving a lane back");
            held.stop.cancel();
        }
    }

    fn note_end(&mut self, (key, epoch): (LaneKey, i64)) {
        // An earlier holding of a lane that we have again ends without a trace.
        if self.held.get(&key).is_some_and(|held| held.epoch == epoch) {
            self.held.remove(&key);
            self.context.board.remove(key);
            gauges::gauge_lag(key, Lag::NONE, 0);
        }
    }
}

async fn release(context: &Context, key: LaneKey, epoch: i64) {
    if let Err(error) = lanes::release(&context.pool, context.owner, epoch, key).await {
        tracing::warn!(lane = %key, error = &error as &dyn std::error::Error, "could not give the lane back");
    }
}

fn count_lost(key: LaneKey) {
    metrics::counter!("ingest_lanes_lost_total", "stream" => key.stream.name()).increment(1);
}

/// What the lane's row keeps; the same figures go to the metrics.
fn report(key: LaneKey, line: &Line) -> Report {
    // A clock beyond the year 2262 makes every lag long.
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
