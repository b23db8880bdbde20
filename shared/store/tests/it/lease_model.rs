//! Leases and cursors against a model: in any order of events, only the owner of a lane can commit, epochs only grow, and
//! cursors never move back.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::time::Duration;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_domain::states::LaneStatus;
use tiris_store::error::Result;
use tiris_store::lanes::{self, Report};
use tiris_testing::TestDatabase;
use uuid::Uuid;

const WORKERS: usize = 3;
const LANES: i32 = 4;
/// Longer than a test, so that leases end only by [`end_lease`].
const LEASE: Duration = Duration::from_secs(3_600);
const CASES: u32 = 48;

/// An event. Workers act on their own view of the lanes, which may be outdated.
#[derive(Clone, Debug)]
enum Event {
    /// A worker takes up to this many lanes.
    Take(usize, u32),
    /// The lease of a lane ends, as when its owner is stopped.
    LeaseEnds(i32),
    /// A worker renews all lanes in its view.
    Renew(usize),
    /// A worker commits this many messages to a lane in its view.
    Commit(usize, i32, u8),
    /// A worker releases a lane in its view.
    Release(usize, i32),
    /// A worker ends cleanly, and restarts with another token.
    Restart(usize),
    /// A worker seizes a lane.
    Seize(usize, i32),
    /// The database is restored from a backup: all epochs are incremented, and no lane has an owner.
    Restored,
}

fn event() -> impl Strategy<Value = Event> {
    let worker = 0..WORKERS;
    let lane = 0..LANES;
    let both = (worker.clone(), lane.clone());
    let commit = (both.clone(), 1..9u8);
    prop_oneof![
        4 => (worker.clone(), 1..=4u32).prop_map(|(worker, limit)| Event::Take(worker, limit)),
        4 => lane.prop_map(Event::LeaseEnds),
        2 => worker.clone().prop_map(Event::Renew),
        10 => commit.prop_map(|((worker, lane), count)| Event::Commit(worker, lane, count)),
        2 => both.clone().prop_map(|(worker, lane)| Event::Release(worker, lane)),
        1 => worker.prop_map(Event::Restart),
        1 => both.prop_map(|(worker, lane)| Event::Seize(worker, lane)),
        1 => Just(Event::Restored),
    ]
}

/// The expected state of a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
struct Lane {
    owner: Option<Uuid>,
    epoch: i64,
    is_live: bool,
    cursor: i64,
}

/// A worker and its view: the epoch of each lane it believes to hold.
#[derive(Clone, Debug)]
struct Worker {
    token: Uuid,
    held: BTreeMap<i32, i64>,
}

impl Worker {
    fn new() -> Self {
        Self {
            token: Uuid::new_v4(),
            held: BTreeMap::new(),
        }
    }
}

struct Model {
    lanes: BTreeMap<i32, Lane>,
    workers: Vec<Worker>,
}

impl Model {
    fn new() -> Self {
        Self {
            lanes: (0..LANES).map(|lane| (lane, Lane::default())).collect(),
            workers: std::iter::repeat_with(Worker::new).take(WORKERS).collect(),
        }
    }

    fn lane(&mut self, lane: i32) -> &mut Lane {
        self.lanes.get_mut(&lane).expect("a lane of the model")
    }

    /// Returns the lanes a worker would get, in the order of the table.
    fn free(&self, limit: u32) -> Vec<i32> {
        let limit = usize::try_from(limit).expect("few");
        self.lanes
            .iter()
            .filter(|(_, row)| row.owner.is_none() || !row.is_live)
            .map(|(lane, _)| *lane)
            .take(limit)
            .collect()
    }

    fn is_owner(&self, worker: usize, lane: i32) -> bool {
        let worker = &self.workers[worker];
        let row = &self.lanes[&lane];
        row.owner == Some(worker.token) && worker.held.get(&lane) == Some(&row.epoch)
    }

    fn take(&mut self, worker: usize, lane: i32) {
        let token = self.workers[worker].token;
        let row = self.lane(lane);
        row.owner = Some(token);
        row.epoch += 1;
        row.is_live = true;
        let epoch = row.epoch;
        self.workers[worker].held.insert(lane, epoch);
    }

    fn renew(&mut self, worker: usize) {
        let Worker { token, held } = self.workers[worker].clone();
        for lane in held.into_keys() {
            let row = self.lane(lane);
            row.is_live |= row.owner == Some(token);
        }
    }

    fn commit(&mut self, lane: i32, count: u8) {
        let row = self.lane(lane);
        row.cursor += i64::from(count);
        row.is_live = true;
    }

    fn release(&mut self, worker: usize, lane: i32) {
        if self.is_owner(worker, lane) {
            self.lane(lane).owner = None;
        }
        self.workers[worker].held.remove(&lane);
    }

    fn restart(&mut self, worker: usize) {
        let token = self.workers[worker].token;
        for row in self.lanes.values_mut() {
            row.owner = row.owner.filter(|owner| *owner != token);
        }
        self.workers[worker] = Worker::new();
    }

    fn restore(&mut self) {
        for row in self.lanes.values_mut() {
            row.owner = None;
            row.epoch += 1_000_000;
        }
    }

    /// Returns the lanes as in the table: a free one has no lease.
    fn shown(&self) -> BTreeMap<i32, Lane> {
        let mut lanes = self.lanes.clone();
        for row in lanes.values_mut() {
            row.is_live &= row.owner.is_some();
        }
        lanes
    }
}

fn key(lane: i32) -> LaneKey {
    LaneKey {
        stream: EventStream::Trading,
        lane: u16::try_from(lane).expect("a lane of the model"),
    }
}

/// Commits like a lane: locks the row, compares owner and epoch, moves the cursor. Returns whether it succeeded.
async fn commit(pool: &PgPool, worker: &Worker, lane: i32, count: u8) -> Result<bool> {
    let Some(epoch) = worker.held.get(&lane) else {
        return Ok(false);
    };
    let mut transaction = pool.begin().await?;
    let state = lanes::lock(&mut transaction, key(lane)).await?;
    let state = state.filter(|state| state.owner == Some(worker.token) && state.epoch == *epoch);
    let Some(state) = state else {
        // Explicitly: after a drop, the row stays locked for a moment, and the next worker would skip it.
        transaction.rollback().await?;
        return Ok(false);
    };

    let to = lanes::Move {
        cursor: state.cursor + u64::from(count),
        fingerprint: Some(b"fingerprint"),
        events: usize::from(count),
        booked_at: None,
    };
    lanes::move_cursor(&mut transaction, key(lane), to, LEASE).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Takes free lanes; returns their numbers in order.
async fn take(pool: &PgPool, token: Uuid, limit: u32) -> Result<Vec<i32>> {
    let taken = lanes::take_free(pool, token, LEASE, limit).await?;
    let mut taken: Vec<i32> = taken
        .into_iter()
        .map(|taken| i32::from(taken.key.lane))
        .collect();
    taken.sort_unstable();
    Ok(taken)
}

async fn renew(pool: &PgPool, worker: &Worker) -> Result<()> {
    let report = |lane: &i32| Report {
        key: key(*lane),
        status: LaneStatus::Running,
        reason: None,
        lag_messages: Some(0),
        lag_exact: true,
        lag_age: Some(Duration::ZERO),
    };
    let reports: Vec<Report> = worker.held.keys().map(report).collect();
    lanes::renew(pool, worker.token, LEASE, &reports).await?;
    Ok(())
}

async fn end_lease(pool: &PgPool, lane: i32) -> Result<()> {
    sqlx::query("UPDATE ingest_lanes SET lease_until = now() - interval '1 s' WHERE lane = $1 AND owner IS NOT NULL")
        .bind(lane)
        .execute(pool)
        .await?;
    Ok(())
}

async fn restore(pool: &PgPool) -> Result<()> {
    sqlx::query(
        "UPDATE ingest_lanes SET epoch = epoch + 1000000, owner = NULL, lease_until = NULL",
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Applies an event to the database and to the model.
async fn happen(pool: &PgPool, model: &mut Model, event: &Event) -> Result<()> {
    match *event {
        Event::Take(worker, limit) => {
            let taken = take(pool, model.workers[worker].token, limit).await?;
            assert_eq!(taken, model.free(limit), "{event:?}");
            for lane in taken {
                model.take(worker, lane);
            }
        }
        Event::LeaseEnds(lane) => {
            end_lease(pool, lane).await?;
            model.lane(lane).is_live = false;
        }
        Event::Renew(worker) => {
            renew(pool, &model.workers[worker]).await?;
            model.renew(worker);
        }
        Event::Commit(worker, lane, count) => {
            let may = model.is_owner(worker, lane);
            let did = commit(pool, &model.workers[worker], lane, count).await?;
            assert_eq!(did, may, "{event:?}");
            if may {
                model.commit(lane, count);
            }
        }
        Event::Release(worker, lane) => {
            let Worker { token, held } = &model.workers[worker];
            if let Some(epoch) = held.get(&lane) {
                lanes::release(pool, *token, *epoch, key(lane)).await?;
                model.release(worker, lane);
            }
        }
        Event::Restart(worker) => {
            lanes::release_all(pool, model.workers[worker].token).await?;
            model.restart(worker);
        }
        Event::Seize(worker, lane) => {
            lanes::seize(pool, key(lane), model.workers[worker].token, LEASE).await?;
            model.take(worker, lane);
        }
        Event::Restored => {
            restore(pool).await?;
            model.restore();
        }
    }

    Ok(())
}

#[derive(sqlx::FromRow)]
struct Stored {
    lane: i32,
    #[sqlx(flatten)]
    row: Lane,
}

async fn stored(pool: &PgPool) -> BTreeMap<i32, Lane> {
    let rows: Vec<Stored> = sqlx::query_as(
        "SELECT lane, owner, epoch, coalesce(lease_until > clock_timestamp(), false) AS is_live, cursor FROM ingest_lanes",
    )
    .fetch_all(pool)
    .await
    .expect("lanes");
    rows.into_iter()
        .map(|stored| (stored.lane, stored.row))
        .collect()
}

/// Applies events, and compares the table with the model after each.
async fn check_events(pool: &PgPool, events: &[Event]) {
    sqlx::query("DELETE FROM ingest_lanes")
        .execute(pool)
        .await
        .expect("an empty table");
    let all: Vec<LaneKey> = (0..LANES).map(key).collect();
    lanes::ensure(pool, &all, 7).await.expect("lanes");
    let mut model = Model::new();

    for event in events {
        let before = model.lanes.clone();
        happen(pool, &mut model, event)
            .await
            .expect("the database works");

        assert_eq!(stored(pool).await, model.shown(), "after {event:?}");
        for (lane, row) in &model.lanes {
            let before = &before[lane];
            assert!(row.epoch >= before.epoch, "{lane}: {before:?} {row:?}");
            assert!(row.cursor >= before.cursor, "{lane}: {before:?} {row:?}");
            let is_owner = |worker: &usize| model.is_owner(*worker, *lane);
            let owners = (0..WORKERS).filter(is_owner).count();
            assert!(owners <= 1, "lane {lane} has {owners} owners");
        }
    }
}

#[test]
fn only_the_owner_of_a_lane_moves_its_cursor() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let database = runtime.block_on(TestDatabase::new()).expect("a database");
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    // The same cases every time.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let cases = proptest::collection::vec(event(), 1..40);

    let outcome = runner.run(&cases, |events| {
        runtime.block_on(check_events(database.pool(), &events));
        Ok(())
    });

    outcome.unwrap_or_else(|error| panic!("{error}"));
}
