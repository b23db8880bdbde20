//! The orders and holds of a batch, and the statements that write them.

use super::rows::values;
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use sqlx::types::Json;
use std::collections::BTreeMap;
use tiris_domain::ids::AccountId;
use tiris_domain::ledger::{Effect, Held, HoldKey, Order, Pair};
use tiris_domain::money::Money;
use tiris_domain::states::State;
use tiris_store::ledger::Entry;
use tiris_store::numeric::{MoneyColumn, PriceColumn};
use uuid::Uuid;

/// The last state of each order and hold that a batch changes.
#[derive(Default)]
pub(super) struct Orders {
    /// By row, with the owner.
    orders: BTreeMap<Uuid, (Uuid, Order)>,
    holds: BTreeMap<(AccountId, HoldKey), HoldState>,
}

/// The last state of a hold.
struct HoldState {
    trading: Uuid,
    held: Held,
    /// The event that changed it first.
    event_id: Option<String>,
}

impl Orders {
    pub(super) fn push(&mut self, entry: &Entry, effect: &Effect) -> Result<()> {
        for order in &effect.orders {
            let row = order.row.context("an order without a row")?;
            self.orders.insert(row, (entry.user.0, order.clone()));
        }

        let event_id = entry.claim.as_ref().map(|claim| &claim.event_id);
        for hold in &effect.holds {
            let state = self.holds.entry((hold.account, hold.key.clone()));
            let state = state.or_insert_with(|| HoldState {
                trading: entry.trading.0,
                held: hold.held,
                event_id: event_id.cloned(),
            });
            state.held = hold.held;
        }
        Ok(())
    }

    pub(super) async fn write(
        &self,
        connection: &mut PgConnection,
        timestamp: DateTime<Utc>,
    ) -> Result<()> {
        let orders: Vec<_> = self.orders.iter().collect();
        if !orders.is_empty() {
            write_orders(connection, timestamp, &orders).await?;
        }

        let (gone, held): (Vec<_>, Vec<_>) = self
            .holds
            .iter()
            .partition(|(_, state)| state.held.amount == Money::ZERO);
        if !gone.is_empty() {
            delete_holds(connection, &gone).await?;
        }
        if !held.is_empty() {
            write_holds(connection, timestamp, &held).await?;
        }
        Ok(())
    }
}

async fn write_orders(
    connection: &mut PgConnection,
    timestamp: DateTime<Utc>,
    orders: &[(&Uuid, &(Uuid, Order))],
) -> Result<()> {
    let ordinals = orders
        .iter()
        .map(|(_, (_, order))| order.ordinal.try_into());
    let ordinals = ordinals.collect::<Result<Vec<i32>, _>>()?;

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
    .bind(values(orders, |(row, _)| **row))
    .bind(values(orders, |(_, (user, _))| *user))
    .bind(values(orders, |(_, (_, order))| order.key.trading.0))
    .bind(values(orders, |(_, (_, order))| symbol(order.key.pair.as_ref())))
    .bind(values(orders, |(_, (_, order))| order.key.id.as_str()))
    .bind(values(orders, |(_, (_, order))| order.side.map(State::as_str)))
    .bind(values(orders, |(_, (_, order))| order.kind.as_deref()))
    .bind(values(orders, |(_, (_, order))| order.amount.map(MoneyColumn)))
    .bind(values(orders, |(_, (_, order))| order.price.clone().map(PriceColumn)))
    .bind(values(orders, |(_, (_, order))| MoneyColumn(order.filled)))
    .bind(values(orders, |(_, (_, order))| MoneyColumn(order.quote_filled)))
    .bind(values(orders, |(_, (_, order))| Json(fees(order))))
    .bind(values(orders, |(_, (_, order))| order.fills))
    .bind(values(orders, |(_, (_, order))| order.status.as_str()))
    .bind(values(orders, |(_, (_, order))| accounts(order)))
    .bind(values(orders, |(_, (_, order))| order.last_lock.map(|lock| MoneyColumn(lock.1))))
    .bind(values(orders, |(_, (_, order))| order.last_lock.map(|lock| lock.0.0)))
    .bind(values(orders, |(_, (_, order))| order.first_event_time))
    .bind(values(orders, |(_, (_, order))| order.last_event_time))
    .bind(ordinals)
    .execute(connection)
    .await?;
    Ok(())
}

fn symbol(pair: Option<&Pair>) -> String {
    pair.map(ToString::to_string).unwrap_or_default()
}

fn fees(order: &Order) -> BTreeMap<String, String> {
    let fees = order.fees.iter();
    fees.map(|(asset, amount)| (asset.to_string(), amount.to_string()))
        .collect()
}

fn accounts(order: &Order) -> String {
    let ids: Vec<String> = order.accounts.iter().map(ToString::to_string).collect();
    format!("{{{}}}", ids.join(","))
}

/// A hold with its last state.
type Hold<'a> = (&'a (AccountId, HoldKey), &'a HoldState);

fn order_id<'a>(((_, key), _): &Hold<'a>) -> &'a str {
    key.order.as_ref().map_or("", |order| order.as_str())
}

async fn delete_holds(connection: &mut PgConnection, holds: &[Hold<'_>]) -> Result<()> {
    sqlx::query(
        "DELETE FROM holds h USING UNNEST($1::uuid[], $2::text[], $3::text[]) AS g (sub_account_id, order_id, symbol) \
         WHERE h.sub_account_id = g.sub_account_id AND h.order_id = g.order_id AND h.symbol = g.symbol",
    )
    .bind(values(holds, |((account, _), _)| account.0))
    .bind(values(holds, order_id))
    .bind(values(holds, |((_, key), _)| symbol(key.pair.as_ref())))
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_holds(
    connection: &mut PgConnection,
    timestamp: DateTime<Utc>,
    holds: &[Hold<'_>],
) -> Result<()> {
    sqlx::query(
        "INSERT INTO holds (created_at, updated_at, sub_account_id, order_id, symbol, trading_id, amount, expires_at, event_id) \
         SELECT $1, $1, t.* FROM UNNEST($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::numeric[], $7::timestamptz[], \
         $8::text[]) AS t \
         ON CONFLICT (sub_account_id, order_id, symbol) \
         DO UPDATE SET amount = excluded.amount, expires_at = excluded.expires_at, updated_at = excluded.updated_at",
    )
    .bind(timestamp)
    .bind(values(holds, |((account, _), _)| account.0))
    .bind(values(holds, order_id))
    .bind(values(holds, |((_, key), _)| symbol(key.pair.as_ref())))
    .bind(values(holds, |(_, state)| state.trading))
    .bind(values(holds, |(_, state)| MoneyColumn(state.held.amount)))
    .bind(values(holds, |(_, state)| state.held.expires_at))
    .bind(values(holds, |(_, state)| state.event_id.as_deref()))
    .execute(connection)
    .await?;
    Ok(())
}
