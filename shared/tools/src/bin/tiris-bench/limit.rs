//! The best PostgreSQL can do with the same events: the statements of a batch with prepared rows, without a broker,
//! parsing or a ledger.

mod rows;

use crate::figure::per_second;
use crate::stage::Database;
use anyhow::{Context, Result};
use chrono::Utc;
use rows::Rows;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};
use tiris_domain::ids::IdSequence;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::lanes;
use tiris_tools::Population;
use tokio::task::JoinSet;

/// The default number of lanes.
const LANES: u16 = 16;

/// Writes events as fast as possible, `batch` in a transaction, and returns their rate.
pub(crate) async fn rate(
    database: &Database,
    population: Population,
    events: Range<u64>,
    batch: u64,
    connections: u32,
) -> Result<u64> {
    let keys: Vec<LaneKey> = (0..LANES).map(key).collect();
    lanes::ensure(&database.pool, &keys, 0).await?;
    let count = events.end - events.start;
    let prepared = prepare(population, events, batch)?;
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .min_connections(connections)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(120))
        .connect(&database.url)
        .await?;

    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (lane, batches) in prepared {
        tasks.spawn(write_lane(pool.clone(), key(lane), batches));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let time = begun.elapsed();

    pool.close().await;
    Ok(per_second(count, time))
}

fn key(lane: u16) -> LaneKey {
    LaneKey {
        stream: EventStream::Trading,
        lane,
    }
}

async fn write_lane(pool: PgPool, key: LaneKey, batches: Vec<Rows>) -> Result<()> {
    for rows in batches {
        let mut transaction = pool.begin().await?;
        rows.write(&mut transaction, key).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// Returns the batches of each lane.
fn prepare(
    population: Population,
    events: Range<u64>,
    batch: u64,
) -> Result<BTreeMap<u16, Vec<Rows>>> {
    let batch = usize::try_from(batch)?;
    let now = Utc::now();
    let mut ids = IdSequence::new(now, events.start);

    let mut lanes: BTreeMap<u16, Vec<Rows>> = BTreeMap::new();
    for n in events {
        let user = population.user_of(n % population.accounts);
        let lane = u16::try_from(user % u64::from(LANES))?;
        let batches = lanes.entry(lane).or_default();
        if batches.last().is_none_or(|rows| rows.len() >= batch) {
            batches.push(Rows::default());
        }
        let rows = batches.last_mut().context("a batch")?;
        rows.push(population, n, &mut ids, now)?;
    }
    Ok(lanes)
}
