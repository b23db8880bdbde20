//! Writes a folded batch: postings, logs, holds and balances, each table in one statement whatever the batch's size.

use super::cause::Cause;
use super::claim;
use super::disposition::{Applied, Disposition, info_of_postings};
use super::entry::Entry;
use super::orders::{self, Changed};
use crate::column::values;
use crate::error::Result;
use crate::lanes::columns::convert;
use crate::numeric::{MoneyColumn, PriceColumn};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::types::Json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use tiris_domain::ids::{AccountId, TradingId};
use tiris_domain::ledger::{Account, Asset, Direction, Held, HoldKey, OrderId, Posting};
use tiris_domain::money::Money;
use tiris_domain::states::State;
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
            Disposition::Applied(applied) => rows.push(entry, applied, timestamp),
            // The claim belongs to the other event.
            Disposition::DeadLetter(Cause::EventIdReused)
            | Disposition::Duplicate
            | Disposition::Recorded => {}
            Disposition::DeadLetter(_) | Disposition::Deferred => refused.push(entry),
        }
    }

    claim::mark_dead(connection, &refused).await?;
    if rows.logs.is_empty() {
        return Ok(());
    }
    insert_transactions(connection, timestamp, &rows.logs).await?;
    insert_logs(connection, timestamp, &rows.logs).await?;
    update_balances(connection, timestamp, rows.accounts).await?;
    orders::write(connection, timestamp, rows.orders).await?;
    write_holds(connection, timestamp, rows.holds).await
}

#[derive(Default)]
struct Rows<'a> {
    logs: Vec<Log<'a>>,
    /// Last state of each account that changed.
    accounts: BTreeMap<AccountId, &'a Account>,
    holds: HoldStates<'a>,
    orders: Changed<'a>,
}

/// Last state of each hold that changed.
type HoldStates<'a> = BTreeMap<(AccountId, &'a HoldKey), HoldState<'a>>;

struct HoldState<'a> {
    trading: TradingId,
    held: Held,
    /// The event that changed it first.
    event_id: Option<&'a str>,
}

impl<'a> Rows<'a> {
    fn push(&mut self, entry: &'a Entry, applied: &'a Applied, timestamp: DateTime<Utc>) {
        for account in &applied.effect.accounts {
            self.accounts.insert(account.id, account);
        }
        for hold in &applied.effect.holds {
            let state = self
                .holds
                .entry((hold.account, &hold.key))
                .or_insert(HoldState {
                    trading: entry.trading,
                    held: hold.held,
                    event_id: entry.event_id(),
                });
            state.held = hold.held;
        }
        self.orders.push(entry.user, &applied.effect.orders);

        self.logs.push(Log {
            entry,
            applied,
            event_time: entry.event_time.unwrap_or(timestamp),
            info: applied.info(&entry.info),
        });
    }
}

/// The trading log of an applied entry.
struct Log<'a> {
    entry: &'a Entry,
    applied: &'a Applied,
    event_time: DateTime<Utc>,
    info: Cow<'a, Map<String, Value>>,
}

struct Transaction<'a> {
    id: Uuid,
    log: &'a Log<'a>,
    posting: &'a Posting,
}

async fn insert_transactions(
    connection: &mut PgConnection,
    timestamp: DateTime<Utc>,
    logs: &[Log<'_>],
) -> Result<()> {
    let mut rows = Vec::new();
    for log in logs {
        let postings = log.applied.postings.iter();
        rows.extend(postings.map(|(id, posting)| Transaction {
            id: id.0,
            log,
            posting,
        }));
    }
    if rows.is_empty() {
        return Ok(());
    }

    sqlx::query(
        "INSERT INTO transactions (timestamp, id, user_id, trading_id, sub_account_id, event_time, direction, \
         reason, amount, closing_balance, price, quote_symbol, fee, order_id, sequence, event_id, trading_log_id, info) \
         SELECT $1, t.* FROM UNNEST($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::text[], \
         $8::text[], $9::numeric[], $10::numeric[], $11::numeric[], $12::text[], $13::numeric[], $14::text[], \
         $15::bigint[], $16::text[], $17::uuid[], $18::jsonb[]) AS t",
    )
    .bind(timestamp)
    .bind(values(&rows, |row| row.id))
    .bind(values(&rows, |row| row.log.entry.user.0))
    .bind(values(&rows, |row| row.log.entry.trading.0))
    .bind(values(&rows, |row| row.posting.account.0))
    .bind(values(&rows, |row| row.log.event_time))
    .bind(values(&rows, |row| row.posting.direction.as_str()))
    .bind(values(&rows, |row| row.posting.reason.as_str()))
    .bind(values(&rows, |row| MoneyColumn(row.posting.amount)))
    .bind(values(&rows, |row| MoneyColumn(row.posting.closing_balance)))
    .bind(values(&rows, |row| row.posting.price.clone().map(PriceColumn)))
    .bind(values(&rows, |row| row.posting.quote.as_ref().map(Asset::as_str)))
    .bind(values(&rows, |row| row.posting.fee.map(MoneyColumn)))
    .bind(values(&rows, |row| row.log.entry.order_id()))
    .bind(values(&rows, |row| row.posting.sequence))
    .bind(values(&rows, |row| row.log.entry.event_id()))
    .bind(values(&rows, |row| row.log.applied.log.0))
    .bind(values(&rows, |row| {
        Json(info_of_postings(row.log.entry.source, &row.log.info))
    }))
    .execute(connection)
    .await?;

    for direction in Direction::ALL {
        let rows = rows.iter();
        let count = rows
            .filter(|row| row.posting.direction == *direction)
            .count();
        if count > 0 {
            metrics::counter!("ledger_transactions_total", "direction" => direction.as_str())
                .increment(convert(count)?);
        }
    }
    Ok(())
}

async fn insert_logs(
    connection: &mut PgConnection,
    timestamp: DateTime<Utc>,
    logs: &[Log<'_>],
) -> Result<()> {
    let counts = logs.iter().map(|log| convert(log.applied.postings.len()));
    let counts = counts.collect::<Result<Vec<i16>>>()?;
    let single = |log: &Log<'_>| match log.applied.postings.as_slice() {
        [(id, _)] => Some(id.0),
        _ => None,
    };

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
    .bind(values(logs, |log| log.applied.log.0))
    .bind(values(logs, |log| log.entry.user.0))
    .bind(values(logs, |log| log.entry.trading.0))
    .bind(values(logs, |log| log.entry.sub_account.map(|id| id.0)))
    .bind(values(logs, single))
    .bind(counts)
    .bind(values(logs, |log| log.event_time))
    .bind(values(logs, |log| log.entry.log_type.as_str()))
    .bind(values(logs, |log| log.entry.source.as_str()))
    .bind(values(logs, |log| log.entry.order_id()))
    .bind(values(logs, |log| log.entry.event_id()))
    .bind(values(logs, |log| log.entry.message.as_str()))
    .bind(values(logs, |log| Json(&*log.info)))
    .bind(values(logs, |log| drift(log.applied)))
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns the kinds of drift as a literal of an array; `None` without drift.
fn drift(applied: &Applied) -> Option<String> {
    let kinds = applied.effect.drift_kinds();
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();

    (!names.is_empty()).then(|| format!("{{{}}}", names.join(",")))
}

async fn update_balances(
    connection: &mut PgConnection,
    timestamp: DateTime<Utc>,
    accounts: BTreeMap<AccountId, &Account>,
) -> Result<()> {
    if accounts.is_empty() {
        return Ok(());
    }

    let accounts: Vec<&Account> = accounts.into_values().collect();
    sqlx::query(
        "UPDATE sub_accounts a SET balance = n.balance, locked = n.locked, sequence = n.sequence, updated_at = $1 \
         FROM UNNEST($2::uuid[], $3::numeric[], $4::numeric[], $5::bigint[]) AS n (id, balance, locked, sequence) \
         WHERE a.id = n.id",
    )
    .bind(timestamp)
    .bind(values(&accounts, |account| account.id.0))
    .bind(values(&accounts, |account| MoneyColumn(account.balance)))
    .bind(values(&accounts, |account| MoneyColumn(account.locked)))
    .bind(values(&accounts, |account| account.sequence))
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns the text of the column; the unnamed hold has an empty one.
fn order_id(key: &HoldKey) -> &str {
    key.order.as_ref().map_or("", OrderId::as_str)
}

async fn write_holds(
    connection: &mut PgConnection,
    timestamp: DateTime<Utc>,
    states: HoldStates<'_>,
) -> Result<()> {
    let (gone, held): (Vec<_>, Vec<_>) = states
        .into_iter()
        .partition(|(_, state)| state.held.amount == Money::ZERO);

    if !gone.is_empty() {
        sqlx::query(
            "DELETE FROM holds h USING UNNEST($1::uuid[], $2::text[], $3::text[]) AS g (sub_account_id, order_id, symbol) \
             WHERE h.sub_account_id = g.sub_account_id AND h.order_id = g.order_id AND h.symbol = g.symbol",
        )
        .bind(values(&gone, |((account, _), _)| account.0))
        .bind(values(&gone, |((_, key), _)| order_id(key)))
        .bind(values(&gone, |((_, key), _)| orders::symbol(key.pair.as_ref())))
        .execute(&mut *connection)
        .await?;
    }
    if held.is_empty() {
        return Ok(());
    }

    sqlx::query(
        "INSERT INTO holds (created_at, updated_at, sub_account_id, order_id, symbol, trading_id, amount, expires_at, event_id) \
         SELECT $1, $1, t.* FROM UNNEST($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::numeric[], $7::timestamptz[], \
         $8::text[]) AS t \
         ON CONFLICT (sub_account_id, order_id, symbol) \
         DO UPDATE SET amount = excluded.amount, expires_at = excluded.expires_at, updated_at = excluded.updated_at",
    )
    .bind(timestamp)
    .bind(values(&held, |((account, _), _)| account.0))
    .bind(values(&held, |((_, key), _)| order_id(key)))
    .bind(values(&held, |((_, key), _)| orders::symbol(key.pair.as_ref())))
    .bind(values(&held, |(_, state)| state.trading.0))
    .bind(values(&held, |(_, state)| MoneyColumn(state.held.amount)))
    .bind(values(&held, |(_, state)| state.held.expires_at))
    .bind(values(&held, |(_, state)| state.event_id))
    .execute(connection)
    .await?;
    Ok(())
}
