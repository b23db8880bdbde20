//! Orders of bots, by trading, order id and pair. Only the ledger writes them.

use crate::numeric::{MoneyColumn, PriceColumn};
use sea_orm::entity::prelude::*;

/// Row of `orders`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, sqlx::FromRow)]
#[sea_orm(table_name = "orders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub trading_id: Uuid,
    /// The pair, `BASE/QUOTE`; empty while only a lock without a pair has named the order.
    pub symbol: String,
    pub order_id: String,
    pub side: Option<String>,
    pub r#type: Option<String>,
    pub amount: Option<MoneyColumn>,
    pub price: Option<PriceColumn>,
    pub filled: MoneyColumn,
    /// Paid or received in the quote asset, without fees.
    pub quote_filled: MoneyColumn,
    /// Sum of the fees by asset, as decimal strings; negative for a rebate.
    #[sea_orm(column_type = "JsonBinary")]
    pub fees: Json,
    /// Number of fills.
    pub fills: i32,
    pub status: String,
    /// The sub-accounts that the order has used.
    pub accounts: Vec<Uuid>,
    /// The last lock for it, until its hold is used up, and the account of that.
    pub last_lock: Option<MoneyColumn>,
    pub last_lock_account: Option<Uuid>,
    /// Its number among the orders of its id, from 0.
    pub ordinal: i32,
    pub first_event_time: DateTimeUtc,
    pub last_event_time: DateTimeUtc,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    /// Timestamp of the batch that first named it.
    pub created_at: DateTimeUtc,
    /// Timestamp of the batch that last changed it.
    pub updated_at: DateTimeUtc,
}

without_relations!();
