//! The best PostgreSQL can do with the same events: the statements of a batch with prepared rows, without a broker,
//! parsing or a ledger.

mod forecast;
mod orders;
mod rows;

use crate::figure::per_second;
use crate::publish::Load;
use crate::stage::Database;
use anyhow::{Context, Result};
use forecast::Forecast;
use rows::Rows;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::lanes;
use tokio::task::JoinSet;

/// The default number of lanes.
const LANES: u16 = 16;
const STREAM: EventStream = EventStream::Trading;

/// Writes events as fast as possible, `batch` in a transaction, and returns their rate.
pub(crate) async fn rate(
    database: &Database,
    load: Load,
    events: Range<u64>,
    batch: u64,
    connections: u32,
) -> Result<u64> {
    let keys: Vec<LaneKey> = (0..LANES).map(key).collect();
    lanes::ensure(&database.pool, &keys, 0).await?;
    let count = events.end - events.start;
    let prepared = prepare(database, load, events, batch).await?;
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
    let mut written = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        written.push(ended??);
    }
    let time = begun.elapsed();

    pool.close().await;
    drop(written);
    Ok(per_second(count, time))
}

fn key(lane: u16) -> LaneKey {
    LaneKey {
        stream: STREAM,
        lane,
    }
}

/// Writes the batches of a lane and returns them, so that they are freed after the measurement.
async fn write_lane(pool: PgPool, key: LaneKey, batches: Vec<Rows>) -> Result<Vec<Rows>> {
    for rows in &batches {
        let mut transaction = pool.begin().await?;
        rows.write(&mut transaction, key).await?;
        transaction.commit().await?;
    }
    Ok(batches)
}

/// Returns the batches of each lane.
async fn prepare(
    database: &Database,
    load: Load,
    events: Range<u64>,
    batch: u64,
) -> Result<BTreeMap<u16, Vec<Rows>>> {
    let batch = usize::try_from(batch)?;
    let mut forecast = Forecast::open(database, load, events.start).await?;

    let mut lanes: BTreeMap<u16, Vec<Rows>> = BTreeMap::new();
    for n in events {
        let lane = u16::try_from(load.user_of(n) % u64::from(LANES))?;
        let batches = lanes.entry(lane).or_default();
        if batches.last().is_none_or(|rows| rows.len() >= batch) {
            batches.push(Rows::default());
        }
        let rows = batches.last_mut().context("a batch")?;
        rows.push(forecast.book(n)?)?;
    }
    Ok(lanes)
}
