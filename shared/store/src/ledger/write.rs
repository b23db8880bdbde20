//! Writes a folded batch: postings, logs, holds and balances, each table in one statement whatever the batch's size.

use super::cause::Cause;
use super::claim;
use super::disposition::{Applied, Disposition};
use super::entry::Entry;
use crate::error::Result;
use crate::lanes::columns::convert;
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use tiris_domain::ids::AccountId;
use tiris_domain::ledger::{Account, Asset, OrderId};
use tiris_domain::money::Money;
use uuid::Uuid;

pub(super) async fn all(
    connection: &mut PgConnection,
    timestamp: DateTime<Utc>,
    entries: &[&Entry],
    dispositions: &[Disposition],
) -> Result<()> {
    let mut rows = Rows::default();
    let mut refused = Vec::new();
    for (entry, disposition) in entries.iter().copied().zip(dispositions) {
        match disposition {
            Disposition::Applied(applied) => rows.push(entry, applied, timestamp)?,
            // The claim belongs to the other event.
            Disposition::DeadLetter(Cause::EventIdReused)
            | Disposition::Duplicate
            | Disposition::Recorded => {}
            Disposition::DeadLetter(_) | Disposition::Deferred => refused.push(entry),
        }
    }

    claim::mark_dead(connection, &refused).await?;
    if rows.logs.id.is_empty() {
        return Ok(());
    }
    if !rows.transactions.id.is_empty() {
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        for direction in &rows.transactions.direction {
            *counts.entry(direction).or_default() += 1;
        }
        rows.transactions.insert(connection, timestamp).await?;
        for (direction, count) in counts {
            metrics::counter!("ledger_transactions_total", "direction" => direction)
                .increment(count);
        }
    }
    rows.logs.insert(connection, timestamp).await?;
    balances(connection, timestamp, rows.accounts).await?;
    holds(connection, timestamp, rows.holds).await
}

#[derive(Default)]
struct Rows<'a> {
    transactions: Transactions<'a>,
    logs: Logs<'a>,
    /// Last state of each account that changed.
    accounts: BTreeMap<AccountId, &'a Account>,
    holds: HoldStates<'a>,
}

impl<'a> Rows<'a> {
    fn push(
        &mut self,
        entry: &'a Entry,
        applied: &'a Applied,
        timestamp: DateTime<Utc>,
    ) -> Result<()> {
        let event_id = entry.claim.as_ref().map(|claim| claim.event_id.as_str());
        let mut info = entry.info.clone();
        if !applied.effect.drift.is_empty() && entry.claim.is_some() {
            let drift: Map<String, Value> = applied
                .effect
                .drift
                .iter()
                .map(|d| (d.field.to_owned(), d.amount.to_string().into()))
                .collect();
            info.insert("drift".to_owned(), Value::Object(drift));
        }
        let event_time = entry.event_time.unwrap_or(timestamp);
        self.transactions
            .push(entry, applied, event_id, event_time, &info);
        self.logs.push(entry, applied, event_id, event_time, info)?;

        for account in &applied.effect.accounts {
            self.accounts.insert(account.id, account);
        }
        for hold in &applied.effect.holds {
            let state = self
                .holds
                .entry((hold.account, &hold.order))
                .or_insert((hold.amount, event_id));
            state.0 = hold.amount;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Transactions<'a> {
    id: Vec<Uuid>,
    user: Vec<Uuid>,
    trading: Vec<Uuid>,
    sub_account: Vec<Uuid>,
    event_time: Vec<DateTime<Utc>>,
    direction: Vec<&'static str>,
    reason: Vec<&'a str>,
    amount: Vec<Decimal>,
    closing_balance: Vec<Decimal>,
    price: Vec<Option<Decimal>>,
    quote: Vec<Option<&'a str>>,
    fee: Vec<Option<Decimal>>,
    order: Vec<Option<&'a str>>,
    sequence: Vec<i64>,
    event_id: Vec<Option<&'a str>>,
    log: Vec<Uuid>,
    info: Vec<Value>,
}

impl<'a> Transactions<'a> {
    fn push(
        &mut self,
        entry: &'a Entry,
        applied: &'a Applied,
        event_id: Option<&'a str>,
        event_time: DateTime<Utc>,
        info: &Map<String, Value>,
    ) {
        for (id, posting) in &applied.postings {
            self.id.push(id.0);
            self.user.push(entry.user.0);
            self.trading.push(entry.trading.0);
            self.sub_account.push(posting.account.0);
            self.event_time.push(event_time);
            self.direction.push(posting.direction.as_str());
            self.amount.push(posting.amount.to_decimal());
            self.closing_balance
                .push(posting.closing_balance.to_decimal());
            self.price.push(posting.price.map(Money::to_decimal));
            self.fee.push(posting.fee.map(Money::to_decimal));
            self.order.push(entry.order.as_ref().map(OrderId::as_str));
            self.sequence.push(posting.sequence);
            self.event_id.push(event_id);
            self.log.push(applied.log.0);
            self.info.push(Value::Object(info.clone()));
        }

        for posting in &applied.effect.postings {
            self.reason.push(&posting.reason);
            self.quote.push(posting.quote.as_ref().map(Asset::as_str));
        }
    }

    async fn insert(self, connection: &mut PgConnection, timestamp: DateTime<Utc>) -> Result<()> {
        sqlx::query(
            "INSERT INTO transactions (timestamp, id, user_id, trading_id, sub_account_id, event_time, direction, \
             reason, amount, closing_balance, price, quote_symbol, fee, order_id, sequence, event_id, trading_log_id, info) \
             SELECT $1, id, user_id, trading_id, sub_account_id, event_time, direction, reason, amount, closing_balance, \
             price, quote_symbol, fee, order_id, sequence, event_id, trading_log_id, info \
             FROM UNNEST($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::text[], \
             $8::text[], $9::numeric[], $10::numeric[], $11::numeric[], $12::text[], $13::numeric[], $14::text[], \
             $15::bigint[], $16::text[], $17::uuid[], $18::jsonb[]) AS t (id, user_id, trading_id, sub_account_id, \
             event_time, direction, reason, amount, closing_balance, price, quote_symbol, fee, order_id, sequence, \
             event_id, trading_log_id, info)",
        )
        .bind(timestamp)
        .bind(self.id)
        .bind(self.user)
        .bind(self.trading)
        .bind(self.sub_account)
        .bind(self.event_time)
        .bind(self.direction)
        .bind(self.reason)
        .bind(self.amount)
        .bind(self.closing_balance)
        .bind(self.price)
        .bind(self.quote)
        .bind(self.fee)
        .bind(self.order)
        .bind(self.sequence)
        .bind(self.event_id)
        .bind(self.log)
        .bind(self.info)
        .execute(connection)
        .await?;

        Ok(())
    }
}

#[derive(Default)]
struct Logs<'a> {
    id: Vec<Uuid>,
    user: Vec<Uuid>,
    trading: Vec<Uuid>,
    sub_account: Vec<Option<Uuid>>,
    transaction: Vec<Option<Uuid>>,
    postings: Vec<i16>,
    event_time: Vec<DateTime<Utc>>,
    log_type: Vec<&'a str>,
    source: Vec<&'static str>,
    order: Vec<Option<&'a str>>,
    event_id: Vec<Option<&'a str>>,
    message: Vec<&'a str>,
    info: Vec<Value>,
}

impl<'a> Logs<'a> {
    fn push(
        &mut self,
        entry: &'a Entry,
        applied: &'a Applied,
        event_id: Option<&'a str>,
        event_time: DateTime<Utc>,
        info: Map<String, Value>,
    ) -> Result<()> {
        self.id.push(applied.log.0);
        self.user.push(entry.user.0);
        self.trading.push(entry.trading.0);
        self.sub_account.push(entry.sub_account.map(|id| id.0));
        let single = match applied.postings.as_slice() {
            [(id, _)] => Some(id.0),
            _ => None,
        };
        self.transaction.push(single);
        self.postings.push(convert(applied.postings.len())?);
        self.event_time.push(event_time);
        self.log_type.push(&entry.log_type);
        self.source.push(entry.source.as_str());
        self.order.push(entry.order.as_ref().map(OrderId::as_str));
        self.event_id.push(event_id);
        self.message.push(&entry.message);
        self.info.push(Value::Object(info));

        Ok(())
    }

    async fn insert(self, connection: &mut PgConnection, timestamp: DateTime<Utc>) -> Result<()> {
        sqlx::query(
            "INSERT INTO trading_logs (timestamp, id, user_id, trading_id, sub_account_id, transaction_id, postings, \
             event_time, type, source, order_id, event_id, message, info) \
             SELECT $1, id, user_id, trading_id, sub_account_id, transaction_id, postings, event_time, type, source, \
             order_id, event_id, message, info \
             FROM UNNEST($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::smallint[], \
             $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::jsonb[]) \
             AS t (id, user_id, trading_id, sub_account_id, transaction_id, postings, event_time, type, source, \
             order_id, event_id, message, info)",
        )
        .bind(timestamp)
        .bind(self.id)
        .bind(self.user)
        .bind(self.trading)
        .bind(self.sub_account)
        .bind(self.transaction)
        .bind(self.postings)
        .bind(self.event_time)
        .bind(self.log_type)
        .bind(self.source)
        .bind(self.order)
        .bind(self.event_id)
        .bind(self.message)
        .bind(self.info)
        .execute(connection)
        .await?;

        Ok(())
    }
}

async fn balances(
    connection: &mut PgConnection,
    timestamp: DateTime<Utc>,
    accounts: BTreeMap<AccountId, &Account>,
) -> Result<()> {
    if accounts.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = accounts.keys().map(|id| id.0).collect();
    let figures = |figure: fn(&Account) -> Money| -> Vec<Decimal> {
        accounts
            .values()
            .map(|account| figure(account).to_decimal())
            .collect()
    };

    sqlx::query(
        "UPDATE sub_accounts a SET balance = n.balance, locked = n.locked, sequence = n.sequence, updated_at = $1 \
         FROM UNNEST($2::uuid[], $3::numeric[], $4::numeric[], $5::bigint[]) AS n (id, balance, locked, sequence) \
         WHERE a.id = n.id",
    )
    .bind(timestamp)
    .bind(ids)
    .bind(figures(|account| account.balance))
    .bind(figures(|account| account.locked))
    .bind(accounts.values().map(|account| account.sequence).collect::<Vec<_>>())
    .execute(connection)
    .await?;

    Ok(())
}

/// Last amount of each hold that changed, with the event that changed it first.
type HoldStates<'a> = BTreeMap<(AccountId, &'a Option<OrderId>), (Money, Option<&'a str>)>;

async fn holds(
    connection: &mut PgConnection,
    timestamp: DateTime<Utc>,
    states: HoldStates<'_>,
) -> Result<()> {
    let order_text = |order: &Option<OrderId>| {
        order
            .as_ref()
            .map_or(String::new(), |order| order.as_str().to_owned())
    };
    let (gone, kept): (Vec<_>, Vec<_>) = states
        .into_iter()
        .partition(|(_, (amount, _))| *amount == Money::ZERO);

    if !gone.is_empty() {
        sqlx::query(
            "DELETE FROM holds h USING UNNEST($1::uuid[], $2::text[]) AS g (sub_account_id, order_id) \
             WHERE h.sub_account_id = g.sub_account_id AND h.order_id = g.order_id",
        )
        .bind(gone.iter().map(|((account, _), _)| account.0).collect::<Vec<_>>())
        .bind(gone.iter().map(|((_, order), _)| order_text(order)).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }
    if kept.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO holds (sub_account_id, order_id, amount, event_id, created_at, updated_at) \
         SELECT sub_account_id, order_id, amount, event_id, $5, $5 \
         FROM UNNEST($1::uuid[], $2::text[], $3::numeric[], $4::text[]) AS t (sub_account_id, order_id, amount, event_id) \
         ON CONFLICT (sub_account_id, order_id) DO UPDATE SET amount = excluded.amount, updated_at = excluded.updated_at",
    )
    .bind(kept.iter().map(|((account, _), _)| account.0).collect::<Vec<_>>())
    .bind(kept.iter().map(|((_, order), _)| order_text(order)).collect::<Vec<_>>())
    .bind(kept.iter().map(|(_, (amount, _))| amount.to_decimal()).collect::<Vec<_>>())
    .bind(kept.iter().map(|(_, (_, event_id))| *event_id).collect::<Vec<_>>())
    .bind(timestamp)
    .execute(connection)
    .await?;

    Ok(())
}
