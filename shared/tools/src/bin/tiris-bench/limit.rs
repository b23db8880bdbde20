//! What PostgreSQL can do with the same events at best: the statements of a batch with rows made in advance, without a
//! broker, without parsing and without deciding anything.
//!
//! Owns: these rows and the statements, which are those of the store but for what they ask the ledger. Must not know:
//! what is compared with it.

use crate::people::{AMOUNT, Ids, People};
use crate::stage::Database;
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tiris_domain::ids::{IdSequence, TradingId, UserId};
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::ledger::PARTIES;
use tiris_store::{dead_letters, lanes};
use tokio::task::JoinSet;
use uuid::Uuid;

/// As many lanes as a worker has by default.
const LANES: u64 = 16;
const STREAM: EventStream = EventStream::Trading;
const LEASE: Duration = Duration::from_secs(10);

/// How the events are put into transactions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Events of a transaction.
    pub(crate) batch: u64,
    pub(crate) connections: u32,
}

/// Writes events `first` to `first + count` as fast as this server can; answers how long it took.
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

/// The rows of one batch, column by column.
#[derive(Default)]
struct Rows {
    users: Vec<Uuid>,
    tradings: Vec<Uuid>,
    accounts: Vec<Uuid>,
    event_ids: Vec<String>,
    hashes: Vec<Vec<u8>>,
    numbers: Vec<i64>,
    logs: Vec<Uuid>,
    postings: Vec<Uuid>,
    times: Vec<DateTime<Utc>>,
    amounts: Vec<Decimal>,
    balances: Vec<Decimal>,
    sequences: Vec<i64>,
    info: Vec<Value>,
    /// The end of each account.
    ends: BTreeMap<Uuid, (Decimal, i64)>,
    keys: BTreeSet<(UserId, TradingId)>,
}

/// The batches of each lane.
fn prepare(people: People, first: u64, count: u64, batch: u64) -> Result<BTreeMap<u64, Vec<Rows>>> {
    let amount: Decimal = AMOUNT.parse()?;
    let now = Utc::now();
    let mut ids = IdSequence::new(now, first);
    let mut lanes: BTreeMap<u64, Vec<Rows>> = BTreeMap::new();
    for n in first..first + count {
        let account = people.account_of(n);
        let batches = lanes.entry(people.user_of(account) % LANES).or_default();
        if batches
            .last()
            .is_none_or(|rows| u64::try_from(rows.users.len()).is_ok_and(|rows| rows >= batch))
        {
            batches.push(Rows::default());
        }
        let sequence = i64::try_from(n / people.accounts + 1)?;
        let rows = batches.last_mut().context("a batch")?;
        rows.push(
            people,
            n,
            (ids.next_id(), ids.next_id()),
            (amount, sequence),
            now,
        );
    }
    Ok(lanes)
}

impl Rows {
    fn push(
        &mut self,
        people: People,
        n: u64,
        (log, posting): (Uuid, Uuid),
        (amount, sequence): (Decimal, i64),
        now: DateTime<Utc>,
    ) {
        let account = people.account_of(n);
        let user = people.user_of(account);
        let balance = amount * Decimal::from(sequence);
        self.users.push(People::user_id(user));
        self.tradings.push(People::trading_id(user));
        self.accounts.push(People::account_id(account));
        let event_id = Ids::Ordered.of(n);
        self.hashes.push(event_id.as_bytes()[..16].to_vec());
        self.event_ids.push(event_id);
        self.numbers.push(i64::try_from(n).unwrap_or(i64::MAX));
        self.logs.push(log);
        self.postings.push(posting);
        self.times.push(now);
        self.amounts.push(amount);
        self.balances.push(balance);
        self.sequences.push(sequence);
        self.info
            .push(json!({"broker_time": now.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)}));
        self.ends
            .insert(People::account_id(account), (balance, sequence));
        self.keys.insert((
            UserId(People::user_id(user)),
            TradingId(People::trading_id(user)),
        ));
    }

    async fn write(self, connection: &mut PgConnection, key: LaneKey) -> Result<()> {
        lanes::lock(connection, key).await?;
        let users: Vec<Uuid> = self.keys.iter().map(|(user, _)| user.0).collect();
        let tradings: Vec<Uuid> = self.keys.iter().map(|(_, trading)| trading.0).collect();
        dead_letters::waiting_keys(connection, key, self.keys.clone()).await?;
        self.claim(connection).await?;
        let timestamp = self.lock(connection, users, tradings).await?;
        self.insert_transactions(connection, timestamp).await?;
        self.insert_logs(connection, timestamp).await?;
        self.balance(connection, timestamp).await?;
        let to = lanes::Move {
            cursor: u64::try_from(self.numbers.last().copied().unwrap_or(0))?,
            fingerprint: None,
            events: self.users.len(),
            booked_at: Some(timestamp),
        };
        Ok(lanes::move_cursor(connection, key, to, LEASE).await?)
    }

    async fn claim(&self, connection: &mut PgConnection) -> Result<()> {
        sqlx::query(
            "INSERT INTO processed_events (user_id, event_id, content_hash, stream, stream_seq, outcome) \
             SELECT *, 'applied' FROM UNNEST($1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::bigint[]) \
             ON CONFLICT DO NOTHING RETURNING user_id, event_id",
        )
        .bind(&self.users)
        .bind(&self.event_ids)
        .bind(&self.hashes)
        .bind(vec![STREAM.name(); self.users.len()])
        .bind(&self.numbers)
        .fetch_all(connection)
        .await?;
        Ok(())
    }

    /// Locks and reads what a batch needs, its moment last.
    async fn lock(
        &self,
        connection: &mut PgConnection,
        users: Vec<Uuid>,
        tradings: Vec<Uuid>,
    ) -> Result<DateTime<Utc>> {
        sqlx::query(
            "SELECT id, user_id, trading_id, symbol, balance, locked, sequence FROM sub_accounts \
             WHERE id = ANY($1) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE",
        )
        .bind(self.ends.keys().copied().collect::<Vec<_>>())
        .fetch_all(&mut *connection)
        .await?;
        let rows = sqlx::query(PARTIES)
            .bind(users)
            .bind(tradings)
            .fetch_all(connection)
            .await?;
        let now = rows.last().context("a moment")?;
        Ok(now.try_get("now")?)
    }

    async fn insert_transactions(
        &self,
        connection: &mut PgConnection,
        timestamp: DateTime<Utc>,
    ) -> Result<()> {
        let no_text: Vec<Option<&str>> = vec![None; self.users.len()];
        let no_amount: Vec<Option<Decimal>> = vec![None; self.users.len()];
        sqlx::query(
            "INSERT INTO transactions (timestamp, id, user_id, trading_id, sub_account_id, event_time, direction, \
             reason, amount, closing_balance, price, quote_symbol, fee, order_id, sequence, event_id, trading_log_id, info) \
             SELECT $1, * FROM UNNEST($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::text[], \
             $8::text[], $9::numeric[], $10::numeric[], $11::numeric[], $12::text[], $13::numeric[], $14::text[], \
             $15::bigint[], $16::text[], $17::uuid[], $18::jsonb[])",
        )
        .bind(timestamp)
        .bind(&self.postings)
        .bind(&self.users)
        .bind(&self.tradings)
        .bind(&self.accounts)
        .bind(&self.times)
        .bind(vec!["credit"; self.users.len()])
        .bind(vec!["bench"; self.users.len()])
        .bind(&self.amounts)
        .bind(&self.balances)
        .bind(&no_amount)
        .bind(&no_text)
        .bind(&no_amount)
        .bind(&no_text)
        .bind(&self.sequences)
        .bind(&self.event_ids)
        .bind(&self.logs)
        .bind(&self.info)
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn insert_logs(
        &self,
        connection: &mut PgConnection,
        timestamp: DateTime<Utc>,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO trading_logs (timestamp, id, user_id, trading_id, sub_account_id, transaction_id, postings, \
             event_time, type, source, order_id, event_id, message, info) \
             SELECT $1, * FROM UNNEST($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::smallint[], \
             $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::jsonb[])",
        )
        .bind(timestamp)
        .bind(&self.logs)
        .bind(&self.users)
        .bind(&self.tradings)
        .bind(&self.accounts)
        .bind(&self.postings)
        .bind(vec![1_i16; self.users.len()])
        .bind(&self.times)
        .bind(vec!["balance_updated"; self.users.len()])
        .bind(vec!["bot"; self.users.len()])
        .bind(vec![None::<&str>; self.users.len()])
        .bind(&self.event_ids)
        .bind(vec![""; self.users.len()])
        .bind(&self.info)
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn balance(&self, connection: &mut PgConnection, timestamp: DateTime<Utc>) -> Result<()> {
        sqlx::query(
            "UPDATE sub_accounts a SET balance = n.balance, locked = n.locked, sequence = n.sequence, updated_at = $1 \
             FROM UNNEST($2::uuid[], $3::numeric[], $4::numeric[], $5::bigint[]) AS n (id, balance, locked, sequence) \
             WHERE a.id = n.id",
        )
        .bind(timestamp)
        .bind(self.ends.keys().copied().collect::<Vec<_>>())
        .bind(self.ends.values().map(|end| end.0).collect::<Vec<_>>())
        .bind(vec![Decimal::ZERO; self.ends.len()])
        .bind(self.ends.values().map(|end| end.1).collect::<Vec<_>>())
        .execute(connection)
        .await?;
        Ok(())
    }
}
