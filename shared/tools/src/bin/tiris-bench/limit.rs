//! What PostgreSQL can do with the same events at best: the statements of a batch with rows made in advance, without a
//! broker, without parsing and without deciding anything.
//!
//! Owns: the batches of each lane, and the time they take. Must not know: what is compared with it.

mod rows;

use crate::people::{AMOUNT, Ids, People};
use crate::stage::Database;
use anyhow::{Context, Result};
use chrono::Utc;
use rows::{Row, Rows};
use rust_decimal::Decimal;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tiris_domain::ids::IdSequence;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::lanes;
use tokio::task::JoinSet;

/// As many lanes as a worker has by default.
const LANES: u64 = 16;
const STREAM: EventStream = EventStream::Trading;

/// How the events are put into transactions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Events of a transaction.
    pub(crate) batch: u64,
    pub(crate) connections: u32,
}

/// Writes events `first` to `first + count` as fast as this server can; returns how long it took.
pub(crate) async fn run(
    database: &Database,
    people: People,
    first: u64,
    count: u64,
    shape: Shape,
) -> Result<Duration> {
    let keys = (0..LANES).map(key).collect::<Result<Vec<_>>>()?;
    lanes::ensure(&database.pool, &keys, 0).await?;
    let made = prepare(people, first, count, shape.batch)?;
    let pool = PgPoolOptions::new()
        .max_connections(shape.connections)
        .min_connections(shape.connections)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(120))
        .connect(&database.url)
        .await?;

    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (lane, batches) in made {
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
        stream: STREAM,
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
fn prepare(people: People, first: u64, count: u64, batch: u64) -> Result<BTreeMap<u64, Vec<Rows>>> {
    let amount: Decimal = AMOUNT.parse()?;
    let batch = usize::try_from(batch)?;
    let now = Utc::now();
    let mut ids = IdSequence::new(now, first);

    let mut lanes: BTreeMap<u64, Vec<Rows>> = BTreeMap::new();
    for n in first..first + count {
        let account = people.account_of(n);
        let user = people.user_of(account);
        let batches = lanes.entry(user % LANES).or_default();
        if batches.last().is_none_or(|rows| rows.len() >= batch) {
            batches.push(Rows::default());
        }

        let sequence = i64::try_from(n / people.accounts + 1)?;
        let rows = batches.last_mut().context("a batch")?;
        rows.push(Row {
            number: i64::try_from(n)?,
            user: People::user_id(user),
            trading: People::trading_id(user),
            account: People::account_id(account),
            event_id: Ids::Ordered.of(n),
            log: ids.next_id(),
            posting: ids.next_id(),
            at: now,
            amount,
            balance: amount * Decimal::from(sequence),
            sequence,
        });
    }
    Ok(lanes)
}
