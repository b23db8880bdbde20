//! Orders as ingest writes them.

use super::book::Book;
use super::{User, World};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tiris_domain::ids::new_id;
use uuid::Uuid;

/// An order to insert; by default one of 2 ETH that is open.
pub(crate) struct NewOrder<'a> {
    pub(crate) order_id: &'a str,
    pub(crate) symbol: &'a str,
    pub(crate) status: &'a str,
    pub(crate) filled: &'a str,
    pub(crate) quote_filled: &'a str,
    pub(crate) fees: Value,
    pub(crate) fills: i32,
    /// Time of its events, in days ago.
    pub(crate) event_days_ago: i64,
    /// Time of its batch.
    pub(crate) at: DateTime<Utc>,
}

impl Default for NewOrder<'_> {
    fn default() -> Self {
        Self {
            order_id: "o1",
            symbol: "ETH/BTC",
            status: "open",
            filled: "0",
            quote_filled: "0",
            fees: json!({}),
            fills: 0,
            event_days_ago: 0,
            at: Utc::now(),
        }
    }
}

impl User<'_> {
    /// Inserts an order of a trading, and returns its id.
    pub(crate) async fn order(&self, book: &Book, new: NewOrder<'_>) -> String {
        let id = new_id();
        let trading: Uuid = book.trading.parse().expect("an id");
        let stock: Uuid = book.stock.parse().expect("an id");
        let event_time = new.at - TimeDelta::days(new.event_days_ago);

        sqlx::query(
            "INSERT INTO orders (id, user_id, trading_id, symbol, order_id, ordinal, side, type, amount, price, filled, \
                 quote_filled, fees, fills, status, accounts, first_event_time, last_event_time, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, (SELECT count(*) FROM orders WHERE trading_id = $3 AND order_id = $5), 'buy', 'limit', 2, 0.05, $6::numeric, $7::numeric, $8, $9, $10, ARRAY[$11], \
                 $12, $12, $13, $13)",
        )
        .bind(id)
        .bind(self.id.0)
        .bind(trading)
        .bind(new.symbol)
        .bind(new.order_id)
        .bind(new.filled)
        .bind(new.quote_filled)
        .bind(new.fees)
        .bind(new.fills)
        .bind(new.status)
        .bind(stock)
        .bind(event_time)
        .bind(new.at)
        .execute(self.world.pool())
        .await
        .expect("an order");
        id.to_string()
    }
}

impl World {
    /// Gives a hold of an order its pair.
    pub(crate) async fn give_hold_its_pair(&self, order: &str, symbol: &str) {
        sqlx::query("UPDATE holds SET symbol = $2 WHERE order_id = $1")
            .bind(order)
            .bind(symbol)
            .execute(self.pool())
            .await
            .expect("a hold");
    }
}
