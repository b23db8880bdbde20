//! The orders that a batch names: one statement reads them, one writes those that changed.

use super::entry::Entry;
use super::load::orders_of;
use crate::column::{self, values};
use crate::error::Result;
use crate::lanes::columns::convert;
use crate::numeric::{MoneyColumn, PriceColumn};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::types::Json;
use std::collections::{BTreeMap, BTreeSet};
use tiris_domain::ids::{AccountId, TradingId, UserId, new_id};
use tiris_domain::ledger::{Asset, Book, Order, OrderKey, Pair};
use tiris_domain::money::Money;
use tiris_domain::states::State;
use tiris_domain::value::Invalid;
use uuid::Uuid;

#[derive(sqlx::FromRow)]
struct OrderRow {
    id: Uuid,
    ordinal: i32,
    trading_id: Uuid,
    symbol: String,
    order_id: String,
    side: Option<String>,
    r#type: Option<String>,
    amount: Option<MoneyColumn>,
    price: Option<PriceColumn>,
    filled: MoneyColumn,
    quote_filled: MoneyColumn,
    fees: Json<BTreeMap<String, Money>>,
    fills: i32,
    status: String,
    accounts: Vec<Uuid>,
    last_lock: Option<MoneyColumn>,
    last_lock_account: Option<Uuid>,
    first_event_time: DateTime<Utc>,
    last_event_time: DateTime<Utc>,
}

/// Loads the orders that the entries name, locked until the transaction ends.
pub(super) async fn load<'a>(
    connection: &mut PgConnection,
    book: &mut Book,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<()> {
    let wanted = orders_of(entries);
    if wanted.is_empty() {
        return Ok(());
    }

    let (tradings, orders): (Vec<Uuid>, Vec<&str>) = wanted.into_iter().unzip();
    let rows: Vec<OrderRow> = sqlx::query_as(
        "SELECT o.id, o.ordinal, o.trading_id, o.symbol, o.order_id, o.side, o.type, o.amount, o.price, o.filled, o.quote_filled, \
         o.fees, o.fills, o.status, o.accounts, o.last_lock, o.last_lock_account, o.first_event_time, o.last_event_time \
         FROM orders o JOIN UNNEST($1::uuid[], $2::text[]) AS w (trading_id, order_id) USING (trading_id, order_id) \
         ORDER BY o.id FOR NO KEY UPDATE OF o",
    )
    .bind(tradings)
    .bind(orders)
    .fetch_all(connection)
    .await?;

    for row in rows {
        book.insert_order(row.order()?);
    }
    Ok(())
}

impl OrderRow {
    fn order(self) -> Result<Order> {
        let wrong =
            |why: Invalid| crate::error::Error::internal(format!("id of order {}: {why}", self.id));
        let key = OrderKey {
            trading: TradingId(self.trading_id),
            id: self.order_id.parse().map_err(wrong)?,
            pair: column::pair(&self.symbol)?,
        };
        let fees = self.fees.0.into_iter();
        let fees = fees.map(|(symbol, amount)| Ok((column::asset(&symbol)?, amount)));
        let last_lock = self.last_lock_account.zip(self.last_lock);

        Ok(Order {
            row: Some(self.id),
            ordinal: convert(self.ordinal)?,
            key,
            side: self.side.map(column::state).transpose()?,
            kind: self.r#type,
            amount: self.amount.map(|amount| amount.0),
            price: self.price.map(|price| price.0),
            filled: self.filled.0,
            quote_filled: self.quote_filled.0,
            fees: fees.collect::<Result<_>>()?,
            fills: self.fills,
            status: column::state(self.status)?,
            accounts: self.accounts.into_iter().map(AccountId).collect(),
            last_lock: last_lock.map(|(account, amount)| (AccountId(account), amount.0)),
            first_event_time: self.first_event_time,
            last_event_time: self.last_event_time,
        })
    }
}

/// The changed orders of a batch with their owners, the last state of each.
#[derive(Default)]
pub(super) struct Changed<'a>(BTreeMap<&'a OrderKey, (UserId, &'a Order)>);

impl<'a> Changed<'a> {
    pub(super) fn push(&mut self, user: UserId, orders: &'a [Order]) {
        for order in orders {
            self.0.insert(&order.key, (user, order));
        }
    }

    /// Returns the orders to write. One without a pair was taken over by the order with a pair that has its row.
    fn into_rows(self) -> Vec<(UserId, &'a Order)> {
        let taken_over: BTreeSet<(TradingId, &str)> = self
            .0
            .keys()
            .filter(|key| key.pair.is_some())
            .map(|key| (key.trading, key.id.as_str()))
            .collect();
        let is_last = |(_, order): &(UserId, &Order)| {
            let key = &order.key;
            key.pair.is_some() || !taken_over.contains(&(key.trading, key.id.as_str()))
        };

        self.0.into_values().filter(is_last).collect()
    }
}

/// Writes the changed orders.
pub(super) async fn write(
    connection: &mut PgConnection,
    timestamp: DateTime<Utc>,
    changed: Changed<'_>,
) -> Result<()> {
    let rows = changed.into_rows();
    if rows.is_empty() {
        return Ok(());
    }

    let ordinals = rows.iter().map(|(_, order)| convert(order.ordinal));
    let ordinals = ordinals.collect::<Result<Vec<i32>>>()?;

    sqlx::query(
        "INSERT INTO orders (created_at, updated_at, id, user_id, trading_id, symbol, order_id, side, type, amount, price, \
         filled, quote_filled, fees, fills, status, accounts, last_lock, last_lock_account, first_event_time, \
         last_event_time, ordinal) \
         SELECT $1, $1, t.id, t.user_id, t.trading_id, t.symbol, t.order_id, t.side, t.type, t.amount, t.price, \
         t.filled, t.quote_filled, t.fees, t.fills, t.status, t.accounts::uuid[], t.last_lock, t.last_lock_account, \
         t.first_event_time, t.last_event_time, t.ordinal \
         FROM UNNEST($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::numeric[], \
         $10::numeric[], $11::numeric[], $12::numeric[], $13::jsonb[], $14::int[], $15::text[], $16::text[], \
         $17::numeric[], $18::uuid[], $19::timestamptz[], $20::timestamptz[], $21::int[]) AS t (id, user_id, trading_id, symbol, \
         order_id, side, type, amount, price, filled, quote_filled, fees, fills, status, accounts, last_lock, \
         last_lock_account, first_event_time, last_event_time, ordinal) \
         ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, symbol = excluded.symbol, side = excluded.side, \
         type = excluded.type, amount = excluded.amount, price = excluded.price, filled = excluded.filled, \
         quote_filled = excluded.quote_filled, fees = excluded.fees, fills = excluded.fills, status = excluded.status, \
         accounts = excluded.accounts, last_lock = excluded.last_lock, last_lock_account = excluded.last_lock_account, \
         first_event_time = excluded.first_event_time, last_event_time = excluded.last_event_time",
    )
    .bind(timestamp)
    .bind(values(&rows, |(_, order)| order.row.unwrap_or_else(new_id)))
    .bind(values(&rows, |(user, _)| user.0))
    .bind(values(&rows, |(_, order)| order.key.trading.0))
    .bind(values(&rows, |(_, order)| symbol(order.key.pair.as_ref())))
    .bind(values(&rows, |(_, order)| order.key.id.as_str()))
    .bind(values(&rows, |(_, order)| order.side.map(State::as_str)))
    .bind(values(&rows, |(_, order)| order.kind.as_deref()))
    .bind(values(&rows, |(_, order)| order.amount.map(MoneyColumn)))
    .bind(values(&rows, |(_, order)| order.price.clone().map(PriceColumn)))
    .bind(values(&rows, |(_, order)| MoneyColumn(order.filled)))
    .bind(values(&rows, |(_, order)| MoneyColumn(order.quote_filled)))
    .bind(values(&rows, |(_, order)| Json(fees(order))))
    .bind(values(&rows, |(_, order)| order.fills))
    .bind(values(&rows, |(_, order)| order.status.as_str()))
    .bind(values(&rows, |(_, order)| accounts(order)))
    .bind(values(&rows, |(_, order)| order.last_lock.map(|lock| MoneyColumn(lock.1))))
    .bind(values(&rows, |(_, order)| order.last_lock.map(|lock| lock.0.0)))
    .bind(values(&rows, |(_, order)| order.first_event_time))
    .bind(values(&rows, |(_, order)| order.last_event_time))
    .bind(ordinals)
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns the text of a column of pairs.
pub(super) fn symbol(pair: Option<&Pair>) -> String {
    pair.map(ToString::to_string).unwrap_or_default()
}

fn fees(order: &Order) -> Map<String, Value> {
    let text = |(asset, amount): (&Asset, &Money)| (asset.to_string(), amount.to_string().into());
    order.fees.iter().map(text).collect()
}

/// Returns the accounts as a literal of an array: a parameter cannot be an array of arrays of different lengths.
fn accounts(order: &Order) -> String {
    let ids: Vec<String> = order.accounts.iter().map(ToString::to_string).collect();
    format!("{{{}}}", ids.join(","))
}
