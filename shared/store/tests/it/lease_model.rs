//! Leases and cursors against a model: whatever workers do in whatever order, only the one the table names can commit,
//! epochs only grow, and a cursor never goes back.

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
/// Longer than a test takes, so that a lease ends only when the test says so.
const LEASE: Duration = Duration::from_secs(3_600);
const CASES: u32 = 48;

/// What can happen. A worker acts on what it believes, which may be long out of date.
#[derive(Clone, Debug)]
enum Event {
    /// A worker takes up to so many lanes.
    Take(usize, u32),
    /// The lease of a lane ends, as when its owner is stopped.
    LeaseEnds(i32),
    /// A worker renews all lanes it believes to hold.
    Renew(usize),
    /// A worker commits so many messages to a lane it believes to hold.
    Commit(usize, i32, u8),
    /// A worker gives back a lane it believes to hold.
    Release(usize, i32),
    /// A worker ends cleanly, and begins anew with another token.
    Restart(usize),
    /// A worker takes one lane by force.
    Seize(usize, i32),
    /// The database comes back from a copy: every epoch is raised, nobody owns a lane.
    Restored,
}

fn event() -> impl Strategy<Value = Event> {
    let (worker, lane) = (0..WORKERS, 0..LANES);
    prop_oneof![
        4 => (worker.clone(), 1..=4u32).prop_map(|(worker, limit)| Event::Take(worker, limit)),
        4 => lane.clone().prop_map(Event::LeaseEnds),
        2 => worker.clone().prop_map(Event::Renew),
        10 => (worker.clone(), lane.clone(), 1..9u8).prop_map(|(worker, lane, count)| Event::Commit(worker, lane, count)),
        2 => (worker.clone(), lane.clone()).prop_map(|(worker, lane)| Event::Release(worker, lane)),
        1 => worker.clone().prop_map(Event::Restart),
        1 => (worker, lane).prop_map(|(worker, lane)| Event::Seize(worker, lane)),
        1 => Just(Event::Restored),
    ]
}

/// A lane as it must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Lane {
    owner: Option<Uuid>,
    epoch: i64,
    is_live: bool,
    cursor: i64,
}

/// A worker and what it believes: the epoch of each lane it thinks it holds.
#[derive(Clone, Debug)]
struct Worker {
    token: Uuid,
    held: BTreeMap<i32, i64>,
}

struct Model {
    lanes: BTreeMap<i32, Lane>,
    workers: Vec<Worker>,
}

impl Model {
    fn new() -> Self {
        let worker = || Worker {
            token: Uuid::new_v4(),
            held: BTreeMap::new(),
        };
        Self {
            lanes: (0..LANES).map(|lane| (lane, Lane::default())).collect(),
            workers: std::iter::repeat_with(worker).take(WORKERS).collect(),
        }
    }

    fn take(&mut self, worker: usize, lane: i32) {
        let Worker { token, held } = &mut self.workers[worker];
        let row = self.lanes.get_mut(&lane).expect("a lane of the model");
        *row = Lane {
            owner: Some(*token),
            epoch: row.epoch + 1,
            is_live: true,
            cursor: row.cursor,
        };
        held.insert(lane, row.epoch);
    }

    /// The lanes a worker would get, in the order of the table.
    fn free(&self, limit: u32) -> Vec<i32> {
        let free = self
            .lanes
            .iter()
            .filter(|(_, row)| row.owner.is_none() || !row.is_live);
        free.map(|(lane, _)| *lane)
            .take(usize::try_from(limit).expect("few"))
            .collect()
    }

    fn is_owner(&self, worker: usize, lane: i32) -> bool {
        let (worker, row) = (&self.workers[worker], &self.lanes[&lane]);
        row.owner == Some(worker.token) && worker.held.get(&lane) == Some(&row.epoch)
    }
}

/// Commits as a lane does: lock the row, compare, move the cursor; answers whether it could.
async fn commit(pool: &PgPool, worker: &Worker, lane: i32, count: u8) -> Result<bool> {
    let Some(epoch) = worker.held.get(&lane) else {
        return Ok(false);
    };
    let mut transaction = pool.begin().await?;
    let state = lanes::lock(&mut transaction, key(lane)).await?;
    let state = state.filter(|state| state.owner == Some(worker.token) && state.epoch == *epoch);
    let Some(state) = state else {
        // At once: dropped, it would keep the row locked for a moment, and the next taker would pass over it.
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

fn key(lane: i32) -> LaneKey {
    LaneKey {
        stream: EventStream::Trading,
        lane: u16::try_from(lane).expect("a lane of the model"),
    }
}

fn report(lane: i32) -> Report {
    Report {
        key: key(lane),
        status: LaneStatus::Running,
        reason: None,
        lag_messages: Some(0),
        lag_exact: true,
        lag_age: Some(Duration::ZERO),
    }
}

async fn happen(pool: &PgPool, model: &mut Model, event: &Event) -> Result<()> {
    match *event {
        Event::Take(worker, limit) => {
            let mut taken: Vec<i32> =
                lanes::take_free(pool, model.workers[worker].token, LEASE, limit)
                    .await?
                    .into_iter()
                    .map(|taken| i32::from(taken.key.lane))
                    .collect();
            taken.sort_unstable();
            let expected = model.free(limit);
            assert_eq!(taken, expected, "{event:?}");
            expected
                .into_iter()
                .for_each(|lane| model.take(worker, lane));
        }
        Event::LeaseEnds(lane) => {
            sqlx::query("UPDATE ingest_lanes SET lease_until = now() - interval '1 s' WHERE lane = $1 AND owner IS NOT NULL")
                .bind(lane)
                .execute(pool)
                .await?;
            model.lanes.get_mut(&lane).expect("a lane").is_live = false;
        }
        Event::Renew(worker) => {
            let Worker { token, held } = &model.workers[worker];
            let reports: Vec<Report> = held.keys().map(|lane| report(*lane)).collect();
            lanes::renew(pool, *token, LEASE, &reports).await?;
            for lane in held.keys().copied().collect::<Vec<_>>() {
                let row = model.lanes.get_mut(&lane).expect("a lane");
                row.is_live |= row.owner == Some(*token);
            }
        }
        Event::Commit(worker, lane, count) => {
            let may = model.is_owner(worker, lane);
            let did = commit(pool, &model.workers[worker], lane, count).await?;
            assert_eq!(did, may, "{event:?}");
            if may {
                let row = model.lanes.get_mut(&lane).expect("a lane");
                row.cursor += i64::from(count);
                row.is_live = true;
            }
        }
        Event::Release(worker, lane) => {
            let Worker { token, held } = model.workers[worker].clone();
            if let Some(epoch) = held.get(&lane) {
                lanes::release(pool, token, *epoch, key(lane)).await?;
                if model.is_owner(worker, lane) {
                    model.lanes.get_mut(&lane).expect("a lane").owner = None;
                }
                model.workers[worker].held.remove(&lane);
            }
        }
        Event::Restart(worker) => {
            let Worker { token, .. } = model.workers[worker];
            lanes::release_all(pool, token).await?;
            model
                .lanes
                .values_mut()
                .filter(|row| row.owner == Some(token))
                .for_each(|row| row.owner = None);
            model.workers[worker] = Worker {
                token: Uuid::new_v4(),
                held: BTreeMap::new(),
            };
        }
        Event::Seize(worker, lane) => {
            lanes::seize(pool, key(lane), model.workers[worker].token, LEASE).await?;
            model.take(worker, lane);
        }
        Event::Restored => {
            sqlx::query(
                "UPDATE ingest_lanes SET epoch = epoch + 1000000, owner = NULL, lease_until = NULL",
            )
            .execute(pool)
            .await?;
            for row in model.lanes.values_mut() {
                *row = Lane {
                    owner: None,
                    epoch: row.epoch + 1_000_000,
                    ..row.clone()
                };
            }
        }
    }
    Ok(())
}

async fn stored(pool: &PgPool) -> BTreeMap<i32, Lane> {
    let rows: Vec<(i32, Option<Uuid>, i64, bool, i64)> = sqlx::query_as(
        "SELECT lane, owner, epoch, coalesce(lease_until > clock_timestamp(), false), cursor FROM ingest_lanes",
    )
    .fetch_all(pool)
    .await
    .expect("lanes");
    rows.into_iter()
        .map(|(lane, owner, epoch, is_live, cursor)| {
            (
                lane,
                Lane {
                    owner,
                    epoch,
                    is_live,
                    cursor,
                },
            )
        })
        .collect()
}

async fn plays_out(pool: &PgPool, events: &[Event]) {
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
        let mut expected = model.lanes.clone();
        // A free lane has no lease.
        expected
            .values_mut()
            .filter(|row| row.owner.is_none())
            .for_each(|row| row.is_live = false);
        assert_eq!(stored(pool).await, expected, "after {event:?}");
        for (lane, row) in &expected {
            assert!(
                row.epoch >= before[lane].epoch && row.cursor >= before[lane].cursor,
                "lane {lane} went back"
            );
            let owners = (0..WORKERS)
                .filter(|worker| model.is_owner(*worker, *lane))
                .count();
            assert!(owners <= 1, "lane {lane} has {owners} owners");
        }
    }
}

#[test]
fn only_the_worker_the_table_names_moves_a_cursor_whatever_happens_before() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let database = runtime.block_on(TestDatabase::new()).expect("a database");
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    // The same cases every time.
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let cases = proptest::collection::vec(event(), 1..40);
    runner
        .run(&cases, |events| {
            runtime.block_on(plays_out(database.pool(), &events));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}
