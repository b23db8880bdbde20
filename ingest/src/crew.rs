//! The lanes this worker holds: takes its fair share, gives the surplus back, renews its leases.
//!
//! Owns: one task per lane and the rhythm in which workers agree by looking at the same tables. Must not know: what a lane
//! does. A mistake here costs speed, never correctness: what a lane may write is decided by owner and epoch in its own
//! transaction.

use crate::context::Context;
use crate::lane::{Lane, lane_column, within_limit};
use crate::reader::{self, LaneId};
use crate::share::{self, Move};
use crate::status::{self, Lag, Line};
use crate::stream::EventStream;
use anyhow::Context as _;
use chrono::Utc;
use std::collections::BTreeMap;
use std::time::Duration;
use tiris_store::dead_letters;
use tiris_store::error::Result;
use tiris_store::lanes::{self, Report, TakenLane};
use tiris_store::workers::{self, Worker};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Looks at the tables so many times within a lease, so that a missed look loses no lane.
const LOOKS_PER_LEASE: u32 = 5;

/// The lanes of this worker.
#[derive(Debug)]
pub struct Crew {
    context: Context,
    worker: Worker,
    held: BTreeMap<LaneId, Held>,
    /// Lane tasks; each answers with its lane and epoch.
    tasks: JoinSet<(LaneId, i64)>,
}

/// A lane in the hands of one of our tasks.
#[derive(Debug)]
struct Held {
    epoch: i64,
    stop: CancellationToken,
}

impl Crew {
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
            let (found, _) = reader::look_at(&self.context.connection, stream, 0).await?;
            let all: Vec<i32> = (0..=self.context.lanes)
                .map(|lane| lane_column(LaneId { stream, lane }))
                .collect();
            lanes::ensure(&self.context.pool, stream.name(), &all, found.created_at).await?;
            let moved =
                dead_letters::rehome(&self.context.pool, stream.name(), self.context.lanes).await?;
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
        let (pool, lease, owner) = (&self.context.pool, self.context.lease, self.worker.owner);
        let living = workers::renew(pool, &self.worker, lease).await?;
        // Only what a task of ours runs: a lane that could not be given back must not stay ours.
        let lines = self.context.board.lines();
        let reports: Vec<Report> = self
            .held
            .keys()
            .filter_map(|id| lines.get(id).map(|line| report(*id, line)))
            .collect();
        status::gauge_states(&lines);
        status::gauge_halted(&lines);
        lanes::renew(pool, owner, lease, &reports).await?;
        let ours = lanes::held(pool, owner).await?;
        self.drop_lost(&ours);
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let all = count(EventStream::ALL.len()).saturating_mul(self.context.lanes + 1);
        let held = self
            .held
            .values()
            .filter(|held| !held.stop.is_cancelled())
            .count();
        match share::decide(all, living, count(held)) {
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
    fn drop_lost(&self, ours: &[(String, i32, i64)]) {
        for (id, held) in self
            .held
            .iter()
            .filter(|(_, held)| !held.stop.is_cancelled())
        {
            let is_ours = |(stream, lane, epoch): &(String, i32, i64)| {
                stream == id.stream.name() && *lane == lane_column(*id) && *epoch == held.epoch
            };
            if !ours.iter().any(is_ours) {
                tracing::warn!(lane = %id, epoch = held.epoch, "the lane is not ours any more");
                count_lost(*id);
                held.stop.cancel();
            }
        }
    }

    fn start(&mut self, taken: &TakenLane) {
        let stream = EventStream::ALL
            .into_iter()
            .find(|stream| stream.name() == taken.stream);
        let (Some(stream), Ok(lane)) = (stream, u32::try_from(taken.lane)) else {
            return;
        };
        let id = LaneId { stream, lane };
        let (epoch, stop) = (taken.state.epoch, CancellationToken::new());
        tracing::debug!(lane = %id, epoch, "took a lane");
        metrics::counter!("ingest_lanes_taken_total", "stream" => id.stream.name()).increment(1);
        if let Some(earlier) = self.held.insert(
            id,
            Held {
                epoch,
                stop: stop.clone(),
            },
        ) {
            // Its lease ended before it could be given back; with the earlier epoch it can write nothing more.
            earlier.stop.cancel();
        }
        let context = self.context.clone();
        let lane = Lane::new(context.clone(), id, &taken.state);
        self.tasks.spawn(async move {
            if lane.run(stop).await {
                let_go(&context, id, epoch).await;
            } else {
                count_lost(id);
            }
            (id, epoch)
        });
    }

    fn give_back(&mut self, surplus: u32) {
        let surplus = usize::try_from(surplus).unwrap_or(usize::MAX);
        let running = self
            .held
            .iter()
            .rev()
            .filter(|(_, held)| !held.stop.is_cancelled());
        for (id, held) in running.take(surplus) {
            tracing::debug!(lane = %id, "giving a lane back");
            held.stop.cancel();
        }
    }

    fn note_end(&mut self, (id, epoch): (LaneId, i64)) {
        // An earlier holding of a lane that we have again ends without a trace.
        if self.held.get(&id).is_some_and(|held| held.epoch == epoch) {
            self.held.remove(&id);
            self.context.board.remove(id);
            status::gauge_lag(id, Lag::NONE, 0);
        }
    }
}

async fn let_go(context: &Context, id: LaneId, epoch: i64) {
    let (pool, stream, lane) = (&context.pool, id.stream.name(), lane_column(id));
    if let Err(error) = lanes::release(pool, context.owner, epoch, stream, lane).await {
        tracing::warn!(lane = %id, error = &error as &dyn std::error::Error, "could not give the lane back");
    }
}

fn count_lost(id: LaneId) {
    metrics::counter!("ingest_lanes_lost_total", "stream" => id.stream.name()).increment(1);
}

/// What the lane's row keeps; the same figures go to the metrics.
fn report(id: LaneId, line: &Line) -> Report {
    let now = Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX);
    status::gauge_lag(id, line.lag, now);
    Report {
        stream: id.stream.name(),
        lane: lane_column(id),
        status: line.status.name(),
        reason: line.status.reason(),
        lag_messages: line
            .lag
            .messages
            .map(|messages| i64::try_from(messages).unwrap_or(i64::MAX)),
        lag_exact: line.lag.exact,
        lag_millis: line
            .lag
            .age(now)
            .map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
    }
}
