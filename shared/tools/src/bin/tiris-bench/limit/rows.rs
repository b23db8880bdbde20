//! The rows of a batch and the statements that write them: those of the store without the reads of the ledger.

use super::forecast::Booked;
use super::orders::Orders;
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tiris_domain::ids::AccountId;
use tiris_domain::lane::LaneKey;
use tiris_domain::ledger::Account;
use tiris_store::ledger::{Claim, Entry, Key, PARTIES};
use tiris_store::numeric::{MoneyColumn, PriceColumn};
use tiris_store::{dead_letters, lanes};
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(10);

/// The rows of a batch, column by column.
#[derive(Default)]
pub(super) struct Rows {
    logs: Logs,
    transactions: Transactions,
    /// The last state of each account that changes.
    ends: BTreeMap<AccountId, Account>,
    orders: Orders,
    /// The accounts that the events name.
    named: BTreeSet<Uuid>,
    users: BTreeSet<Uuid>,
    tradings: BTreeSet<Uuid>,
    keys: BTreeSet<Key>,
}

/// Trading logs, and the claims of their events.
#[derive(Default)]
struct Logs {
    ids: Vec<Uuid>,
    users: Vec<Uuid>,
    tradings: Vec<Uuid>,
    accounts: Vec<Option<Uuid>>,
    /// The posting of a log with one only.
    singles: Vec<Option<Uuid>>,
    postings: Vec<i16>,
    times: Vec<DateTime<Utc>>,
    types: Vec<String>,
    sources: Vec<&'static str>,
    orders: Vec<Option<String>>,
    event_ids: Vec<String>,
    hashes: Vec<Vec<u8>>,
    numbers: Vec<i64>,
    messages: Vec<String>,
    info: Vec<Value>,
}

#[derive(Default)]
struct Transactions {
    ids: Vec<Uuid>,
    users: Vec<Uuid>,
    tradings: Vec<Uuid>,
    accounts: Vec<Uuid>,
    times: Vec<DateTime<Utc>>,
    directions: Vec<&'static str>,
    reasons: Vec<String>,
    amounts: Vec<MoneyColumn>,
    balances: Vec<MoneyColumn>,
    prices: Vec<Option<PriceColumn>>,
    quotes: Vec<Option<String>>,
    fees: Vec<Option<MoneyColumn>>,
    orders: Vec<Option<String>>,
    sequences: Vec<i64>,
    event_ids: Vec<String>,
    logs: Vec<Uuid>,
    info: Vec<Value>,
}

impl Logs {
    fn push(&mut self, booked: &Booked, claim: &Claim) -> Result<()> {
        let entry = &booked.entry;
        let time = entry.event_time.context("an event without a time")?;

        self.ids.push(booked.log);
        self.users.push(entry.user.0);
        self.tradings.push(entry.trading.0);
        self.accounts.push(entry.sub_account.map(|id| id.0));
        self.singles.push(match booked.postings[..] {
            [posting] => Some(posting),
            _ => None,
        });
        self.postings.push(i16::try_from(booked.postings.len())?);
        self.times.push(time);
        self.types.push(entry.log_type.clone());
        self.sources.push(entry.source.as_str());
        self.orders.push(order_id(entry));
        self.event_ids.push(claim.event_id.clone());
        self.hashes.push(claim.content_hash.to_vec());
        self.numbers.push(i64::try_from(claim.stream_seq)?);
        self.messages.push(entry.message.clone());
        self.info.push(Value::Object(entry.info.clone()));
        Ok(())
    }
}

impl Transactions {
    fn push(&mut self, booked: &Booked, claim: &Claim) -> Result<()> {
        let entry = &booked.entry;
        let time = entry.event_time.context("an event without a time")?;

        for (id, posting) in booked.postings.iter().zip(&booked.effect.postings) {
            let quote = posting.quote.as_ref();

            self.ids.push(*id);
            self.users.push(entry.user.0);
            self.tradings.push(entry.trading.0);
            self.accounts.push(posting.account.0);
            self.times.push(time);
            self.directions.push(posting.direction.as_str());
            self.reasons.push(posting.reason.clone());
            self.amounts.push(MoneyColumn(posting.amount));
            self.balances.push(MoneyColumn(posting.closing_balance));
            self.prices.push(posting.price.clone().map(PriceColumn));
            self.quotes.push(quote.map(ToString::to_string));
            self.fees.push(posting.fee.map(MoneyColumn));
            self.orders.push(order_id(entry));
            self.sequences.push(posting.sequence);
            self.event_ids.push(claim.event_id.clone());
            self.logs.push(booked.log);
            self.info.push(Value::Object(entry.info.clone()));
        }
        Ok(())
    }
}

fn order_id(entry: &Entry) -> Option<String> {
    entry.order.as_ref().map(ToString::to_string)
}

/// Returns one value of each row, to bind as an array for `UNNEST`.
pub(super) fn values<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.logs.ids.len()
    }

    /// Adds the rows of an event.
    pub(super) fn push(&mut self, booked: Booked) -> Result<()> {
        let entry = &booked.entry;
        let claim = entry.claim.as_ref().context("an event without a claim")?;
        self.users.insert(entry.user.0);
        self.tradings.insert(entry.trading.0);
        self.keys.extend(entry.keys());
        self.named.extend(entry.accounts().iter().map(|id| id.0));

        self.logs.push(&booked, claim)?;
        self.transactions.push(&booked, claim)?;
        self.orders.push(entry, &booked.effect)?;
        for account in booked.effect.accounts {
            self.ends.insert(account.id, account);
        }
        Ok(())
    }

    pub(super) async fn write(&self, connection: &mut PgConnection, key: LaneKey) -> Result<()> {
        lanes::lock(connection, key).await?;
        dead_letters::waiting_keys(connection, key, self.keys.clone()).await?;

        self.claim(connection, key.stream.name()).await?;
        let timestamp = self.lock(connection).await?;
        if !self.transactions.ids.is_empty() {
            self.insert_transactions(connection, timestamp).await?;
        }
        self.insert_logs(connection, timestamp).await?;
        if !self.ends.is_empty() {
            self.balance(connection, timestamp).await?;
        }
        self.orders.write(connection, timestamp).await?;

        let last = self.logs.numbers.last().copied().unwrap_or(0);
        let to = lanes::Move {
            cursor: u64::try_from(last)?,
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
        .bind(&self.logs.users)
        .bind(&self.logs.event_ids)
        .bind(&self.logs.hashes)
        .bind(vec![stream; self.len()])
        .bind(&self.logs.numbers)
        .fetch_all(connection)
        .await?;
        Ok(())
    }

    /// Locks the accounts, reads users and tradings, and returns the timestamp of the batch.
    async fn lock(&self, connection: &mut PgConnection) -> Result<DateTime<Utc>> {
        sqlx::query(
            "SELECT id, user_id, trading_id, symbol, balance, locked, sequence FROM sub_accounts \
             WHERE id = ANY($1) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE",
        )
        .bind(Vec::from_iter(self.named.iter().copied()))
        .fetch_all(&mut *connection)
        .await?;
        let rows = sqlx::query(PARTIES)
            .bind(Vec::from_iter(self.users.iter().copied()))
            .bind(Vec::from_iter(self.tradings.iter().copied()))
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
        let rows = &self.transactions;
        sqlx::query(
            "INSERT INTO transactions (timestamp, id, user_id, trading_id, sub_account_id, event_time, direction, \
             reason, amount, closing_balance, price, quote_symbol, fee, order_id, sequence, event_id, trading_log_id, info) \
             SELECT $1, * FROM UNNEST($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::text[], \
             $8::text[], $9::numeric[], $10::numeric[], $11::numeric[], $12::text[], $13::numeric[], $14::text[], \
             $15::bigint[], $16::text[], $17::uuid[], $18::jsonb[])",
        )
        .bind(timestamp)
        .bind(&rows.ids)
        .bind(&rows.users)
        .bind(&rows.tradings)
        .bind(&rows.accounts)
        .bind(&rows.times)
        .bind(&rows.directions)
        .bind(&rows.reasons)
        .bind(&rows.amounts)
        .bind(&rows.balances)
        .bind(&rows.prices)
        .bind(&rows.quotes)
        .bind(&rows.fees)
        .bind(&rows.orders)
        .bind(&rows.sequences)
        .bind(&rows.event_ids)
        .bind(&rows.logs)
        .bind(&rows.info)
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn insert_logs(
        &self,
        connection: &mut PgConnection,
        timestamp: DateTime<Utc>,
    ) -> Result<()> {
        let logs = &self.logs;
        sqlx::query(
            "INSERT INTO trading_logs (timestamp, id, user_id, trading_id, sub_account_id, transaction_id, postings, \
             event_time, type, source, order_id, event_id, message, info, drift) \
             SELECT $1, t.id, t.user_id, t.trading_id, t.sub_account_id, t.transaction_id, t.postings, t.event_time, t.type, \
             t.source, t.order_id, t.event_id, t.message, t.info, t.drift::text[] \
             FROM UNNEST($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::smallint[], \
             $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::jsonb[], $15::text[]) \
             AS t (id, user_id, trading_id, sub_account_id, transaction_id, postings, event_time, type, source, order_id, \
             event_id, message, info, drift)",
        )
        .bind(timestamp)
        .bind(&logs.ids)
        .bind(&logs.users)
        .bind(&logs.tradings)
        .bind(&logs.accounts)
        .bind(&logs.singles)
        .bind(&logs.postings)
        .bind(&logs.times)
        .bind(&logs.types)
        .bind(&logs.sources)
        .bind(&logs.orders)
        .bind(&logs.event_ids)
        .bind(&logs.messages)
        .bind(&logs.info)
        .bind(vec![None::<&str>; self.len()])
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn balance(&self, connection: &mut PgConnection, timestamp: DateTime<Utc>) -> Result<()> {
        let ends: Vec<&Account> = self.ends.values().collect();
        sqlx::query(
            "UPDATE sub_accounts a SET balance = n.balance, locked = n.locked, sequence = n.sequence, updated_at = $1 \
             FROM UNNEST($2::uuid[], $3::numeric[], $4::numeric[], $5::bigint[]) AS n (id, balance, locked, sequence) \
             WHERE a.id = n.id",
        )
        .bind(timestamp)
        .bind(values(&ends, |end| end.id.0))
        .bind(values(&ends, |end| MoneyColumn(end.balance)))
        .bind(values(&ends, |end| MoneyColumn(end.locked)))
        .bind(values(&ends, |end| end.sequence))
        .execute(connection)
        .await?;
        Ok(())
    }
}
