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
use tiris_domain::ledger::{Account, Asset, OrderId, Posting};
use tiris_store::ledger::{Entry, Key, PARTIES};
use tiris_store::numeric::{MoneyColumn, PriceColumn};
use tiris_store::{dead_letters, lanes};
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(10);

/// The rows of a batch.
#[derive(Default)]
pub(super) struct Rows {
    logs: Vec<Log>,
    transactions: Vec<Transaction>,
    /// The last state of each account that changes.
    ends: BTreeMap<AccountId, Account>,
    orders: Orders,
    /// The accounts that the events name.
    named: BTreeSet<Uuid>,
    keys: BTreeSet<Key>,
}

/// A trading log, and the claim of its event.
struct Log {
    id: Uuid,
    entry: Entry,
    event_id: String,
    hash: Vec<u8>,
    number: i64,
    time: DateTime<Utc>,
    /// The posting, if there is one only.
    posting: Option<Uuid>,
    postings: i16,
    info: Value,
}

/// A posting of the log at an index.
struct Transaction {
    id: Uuid,
    log: usize,
    posting: Posting,
}

impl Log {
    fn order_id(&self) -> Option<&str> {
        self.entry.order.as_ref().map(OrderId::as_str)
    }
}

/// Returns one value of each row, to bind as an array for `UNNEST`.
pub(super) fn values<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.logs.len()
    }

    /// Adds the rows of an event.
    pub(super) fn push(&mut self, booked: Booked) -> Result<()> {
        let Booked {
            entry,
            effect,
            log,
            postings,
        } = booked;
        let claim = entry.claim.clone().context("an event without a claim")?;
        self.keys.extend(entry.keys());
        self.named.extend(entry.accounts().iter().map(|id| id.0));
        self.orders.push(&entry, &effect)?;
        for account in effect.accounts {
            self.ends.insert(account.id, account);
        }

        let single = match postings[..] {
            [posting] => Some(posting),
            _ => None,
        };
        let count = i16::try_from(postings.len())?;
        let legs = postings.into_iter().zip(effect.postings);
        self.transactions
            .extend(legs.map(|(id, posting)| Transaction {
                id,
                log: self.logs.len(),
                posting,
            }));

        self.logs.push(Log {
            id: log,
            event_id: claim.event_id,
            hash: claim.content_hash.to_vec(),
            number: i64::try_from(claim.stream_seq)?,
            time: entry.event_time.context("an event without a time")?,
            posting: single,
            postings: count,
            info: Value::Object(entry.info.clone()),
            entry,
        });
        Ok(())
    }

    pub(super) async fn write(self, connection: &mut PgConnection, key: LaneKey) -> Result<()> {
        lanes::lock(connection, key).await?;
        dead_letters::waiting_keys(connection, key, self.keys.clone()).await?;

        self.claim(connection, key.stream.name()).await?;
        let timestamp = self.lock(connection).await?;
        if !self.transactions.is_empty() {
            self.insert_transactions(connection, timestamp).await?;
        }
        self.insert_logs(connection, timestamp).await?;
        if !self.ends.is_empty() {
            self.balance(connection, timestamp).await?;
        }
        self.orders.write(connection, timestamp).await?;

        let last = self.logs.last().map_or(0, |log| log.number);
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
        .bind(values(&self.logs, |log| log.entry.user.0))
        .bind(values(&self.logs, |log| log.event_id.as_str()))
        .bind(values(&self.logs, |log| log.hash.as_slice()))
        .bind(vec![stream; self.len()])
        .bind(values(&self.logs, |log| log.number))
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

        let entries = self.logs.iter().map(|log| &log.entry);
        let (users, tradings): (BTreeSet<Uuid>, BTreeSet<Uuid>) =
            entries.map(|entry| (entry.user.0, entry.trading.0)).unzip();
        let rows = sqlx::query(PARTIES)
            .bind(Vec::from_iter(users))
            .bind(Vec::from_iter(tradings))
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
        let log = |row: &Transaction| &self.logs[row.log];
        sqlx::query(
            "INSERT INTO transactions (timestamp, id, user_id, trading_id, sub_account_id, event_time, direction, \
             reason, amount, closing_balance, price, quote_symbol, fee, order_id, sequence, event_id, trading_log_id, info) \
             SELECT $1, * FROM UNNEST($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::text[], \
             $8::text[], $9::numeric[], $10::numeric[], $11::numeric[], $12::text[], $13::numeric[], $14::text[], \
             $15::bigint[], $16::text[], $17::uuid[], $18::jsonb[])",
        )
        .bind(timestamp)
        .bind(values(rows, |row| row.id))
        .bind(values(rows, |row| log(row).entry.user.0))
        .bind(values(rows, |row| log(row).entry.trading.0))
        .bind(values(rows, |row| row.posting.account.0))
        .bind(values(rows, |row| log(row).time))
        .bind(values(rows, |row| row.posting.direction.as_str()))
        .bind(values(rows, |row| row.posting.reason.as_str()))
        .bind(values(rows, |row| MoneyColumn(row.posting.amount)))
        .bind(values(rows, |row| MoneyColumn(row.posting.closing_balance)))
        .bind(values(rows, |row| row.posting.price.clone().map(PriceColumn)))
        .bind(values(rows, |row| row.posting.quote.as_ref().map(Asset::as_str)))
        .bind(values(rows, |row| row.posting.fee.map(MoneyColumn)))
        .bind(values(rows, |row| log(row).order_id()))
        .bind(values(rows, |row| row.posting.sequence))
        .bind(values(rows, |row| log(row).event_id.as_str()))
        .bind(values(rows, |row| log(row).id))
        .bind(values(rows, |row| &log(row).info))
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
        .bind(values(logs, |log| log.id))
        .bind(values(logs, |log| log.entry.user.0))
        .bind(values(logs, |log| log.entry.trading.0))
        .bind(values(logs, |log| log.entry.sub_account.map(|id| id.0)))
        .bind(values(logs, |log| log.posting))
        .bind(values(logs, |log| log.postings))
        .bind(values(logs, |log| log.time))
        .bind(values(logs, |log| log.entry.log_type.as_str()))
        .bind(values(logs, |log| log.entry.source.as_str()))
        .bind(values(logs, Log::order_id))
        .bind(values(logs, |log| log.event_id.as_str()))
        .bind(values(logs, |log| log.entry.message.as_str()))
        .bind(values(logs, |log| &log.info))
        .bind(vec![None::<&str>; logs.len()])
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
