//! Postings: changes of balances. Append-only.

use crate::numeric::{MoneyColumn, PriceColumn};
use sea_orm::entity::prelude::*;

/// Row of `transactions`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "transactions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub timestamp: DateTimeUtc,
    pub user_id: Uuid,
    pub trading_id: Uuid,
    pub sub_account_id: Uuid,
    /// Time by the caller's clock; `timestamp` is the time of booking.
    pub event_time: DateTimeUtc,
    pub direction: String,
    pub reason: String,
    pub amount: MoneyColumn,
    pub closing_balance: MoneyColumn,
    pub price: Option<PriceColumn>,
    pub quote_symbol: Option<String>,
    /// The part of the amount that is a fee, in the account's asset.
    pub fee: Option<MoneyColumn>,
    pub order_id: Option<String>,
    pub sequence: i64,
    pub event_id: Option<String>,
    pub trading_log_id: Uuid,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    pub created_at: DateTimeUtc,
}

without_relations!();
