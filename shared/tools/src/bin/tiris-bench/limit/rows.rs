//! The rows of a batch and the statements that write them: those of the store without the reads of the ledger.

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tiris_domain::ids::{AccountId, IdSequence, TradingId, UserId};
use tiris_domain::lane::LaneKey;
use tiris_domain::money::Money;
use tiris_store::ledger::{Key, PARTIES};
use tiris_store::numeric::MoneyColumn;
use tiris_store::{dead_letters, lanes};
use tiris_tools::{EVENT_AMOUNT, EventIds, Population};
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(10);

/// The rows of a batch, column by column.
#[derive(Default)]
pub(super) struct Rows {
    users: Vec<Uuid>,
    tradings: Vec<Uuid>,
    accounts: Vec<Uuid>,
    event_ids: Vec<String>,
    hashes: Vec<Vec<u8>>,
    numbers: Vec<i64>,
    logs: Vec<Uuid>,
    postings: Vec<Uuid>,
    times: Vec<DateTime<Utc>>,
    amounts: Vec<MoneyColumn>,
    balances: Vec<MoneyColumn>,
    sequences: Vec<i64>,
    info: Vec<Value>,
    /// The last balance and sequence of each account.
    ends: BTreeMap<Uuid, (MoneyColumn, i64)>,
    keys: BTreeSet<Key>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    /// Adds the rows of event `n`. As in a real stream no two events have the same time, because equal values cost an index
    /// less than different ones.
    pub(super) fn push(
        &mut self,
        population: Population,
        n: u64,
        ids: &mut IdSequence,
        at: DateTime<Utc>,
    ) -> Result<()> {
        let number = n % population.accounts;
        let owner = population.user_of(number);
        let account = Population::account_id(number);
        let user = Population::user_id(owner);
        let trading = Population::trading_id(owner);
        let event_id = EventIds::Ordered.of(n);
        let amount: Money = EVENT_AMOUNT.parse().map_err(anyhow::Error::msg)?;
        let sequence = i64::try_from(n / population.accounts + 1)?;
        let balance = Money::from_units(amount.units() * i128::from(sequence));
        let balance = MoneyColumn(balance.context("a balance in range")?);
        let at = at + TimeDelta::microseconds(i64::try_from(n)?);
        let broker_time = at.to_rfc3339_opts(SecondsFormat::Nanos, true);

        self.ends.insert(account, (balance, sequence));
        let user_id = UserId(user);
        self.keys.insert(Key::Account(user_id, AccountId(account)));
        self.keys.insert(Key::Trading(user_id, TradingId(trading)));
        self.users.push(user);
        self.tradings.push(trading);
        self.accounts.push(account);
        self.hashes.push(event_id.as_bytes()[..16].to_vec());
        self.event_ids.push(event_id);
        self.numbers.push(i64::try_from(n)?);
        self.logs.push(ids.next_id());
        self.postings.push(ids.next_id());
        self.times.push(at);
        self.amounts.push(MoneyColumn(amount));
        self.balances.push(balance);
        self.sequences.push(sequence);
        self.info.push(json!({"broker_time": broker_time}));
        Ok(())
    }

    pub(super) async fn write(self, connection: &mut PgConnection, key: LaneKey) -> Result<()> {
        lanes::lock(connection, key).await?;
        let users = BTreeSet::from_iter(self.users.iter().copied());
        let tradings = BTreeSet::from_iter(self.tradings.iter().copied());
        dead_letters::waiting_keys(connection, key, self.keys.clone()).await?;

        self.claim(connection, key.stream.name()).await?;
        let timestamp = self
            .lock(connection, Vec::from_iter(users), Vec::from_iter(tradings))
            .await?;
        self.insert_transactions(connection, timestamp).await?;
        self.insert_logs(connection, timestamp).await?;
        self.balance(connection, timestamp).await?;

        let to = lanes::Move {
            cursor: u64::try_from(self.numbers.last().copied().unwrap_or(0))?,
            fingerprint: None,
            events: self.len(),
            booked_at: Some(timestamp),
        };
        Ok(lanes::move_cursor(connection, key, to, LEASE).await?)
    }

    async fn claim(&self, connection: &mut PgConnection, stream: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO processed_events (user_id, event_id, content_hash, stream, stream_seq, outcome) \
             SELECT *, 'applied' FROM UNNEST($1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::bigint[]) \
             ON CONFLICT DO NOTHING RETURNING user_id, event_id",
        )
        .bind(&self.users)
        .bind(&self.event_ids)
        .bind(&self.hashes)
        .bind(vec![stream; self.len()])
        .bind(&self.numbers)
        .fetch_all(connection)
        .await?;
        Ok(())
    }

    /// Locks the accounts, reads users and tradings, and returns the timestamp of the batch.
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
        let now = rows.last().context("a timestamp")?;
        Ok(now.try_get("now")?)
    }

    async fn insert_transactions(
        &self,
        connection: &mut PgConnection,
        timestamp: DateTime<Utc>,
    ) -> Result<()> {
        let no_text: Vec<Option<&str>> = vec![None; self.len()];
        let no_amount: Vec<Option<MoneyColumn>> = vec![None; self.len()];
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
        .bind(vec!["credit"; self.len()])
        .bind(vec!["bench"; self.len()])
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
        .bind(vec![1_i16; self.len()])
        .bind(&self.times)
        .bind(vec!["balance_updated"; self.len()])
        .bind(vec!["bot"; self.len()])
        .bind(vec![None::<&str>; self.len()])
        .bind(&self.event_ids)
        .bind(vec![""; self.len()])
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
        .bind(vec![MoneyColumn::default(); self.ends.len()])
        .bind(self.ends.values().map(|end| end.1).collect::<Vec<_>>())
        .execute(connection)
        .await?;
        Ok(())
    }
}
