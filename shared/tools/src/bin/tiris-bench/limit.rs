//! The best PostgreSQL can do with the same events: the statements of a batch with prepared rows, without a broker,
//! parsing or a ledger.

mod rows;

use crate::stage::Database;
use anyhow::{Context, Result};
use chrono::Utc;
use rows::Rows;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tiris_domain::ids::IdSequence;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::lanes;
use tiris_tools::Population;
use tokio::task::JoinSet;

/// The default number of lanes.
const LANES: u64 = 16;

/// The distribution of events over transactions and connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The events of a transaction.
    pub(crate) batch: u64,
    pub(crate) connections: u32,
}

/// Writes events `first` to `first + count` as fast as possible and returns the time it took.
pub(crate) async fn run(
    database: &Database,
    population: Population,
    first: u64,
    count: u64,
    shape: Shape,
) -> Result<Duration> {
    let keys = (0..LANES).map(key).collect::<Result<Vec<_>>>()?;
    lanes::ensure(&database.pool, &keys, 0).await?;
    let prepared = prepare(population, first, count, shape.batch)?;
    let pool = PgPoolOptions::new()
        .max_connections(shape.connections)
        .min_connections(shape.connections)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(120))
        .connect(&database.url)
        .await?;

    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (lane, batches) in prepared {
        tasks.spawn(write_lane(pool.clone(), key(lane)?, batches));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let time = begun.elapsed();

    pool.close().await;
    Ok(time)
}

fn key(lane: u64) -> Result<LaneKey> {
    Ok(LaneKey {
        stream: EventStream::Trading,
        lane: u16::try_from(lane)?,
    })
}

async fn write_lane(pool: PgPool, key: LaneKey, batches: Vec<Rows>) -> Result<()> {
    for rows in batches {
        let mut transaction = pool.begin().await?;
        rows.write(&mut transaction, key).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// The batches of each lane.
fn prepare(
    population: Population,
    first: u64,
    count: u64,
    batch: u64,
) -> Result<BTreeMap<u64, Vec<Rows>>> {
    let batch = usize::try_from(batch)?;
    let now = Utc::now();
    let mut ids = IdSequence::new(now, first);

    let mut lanes: BTreeMap<u64, Vec<Rows>> = BTreeMap::new();
    for n in first..first + count {
        let user = population.user_of(n % population.accounts);
        let batches = lanes.entry(user % LANES).or_default();
        if batches.last().is_none_or(|rows| rows.len() >= batch) {
            batches.push(Rows::default());
        }
        let rows = batches.last_mut().context("a batch")?;
        rows.push(population, n, &mut ids, now)?;
    }
    Ok(lanes)
}
