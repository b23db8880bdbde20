//! Parts of sub-accounts that are locked for orders; the order id `""` stands for none, the symbol `""` for no pair.

use crate::numeric::MoneyColumn;
use sea_orm::entity::prelude::*;

/// Row of `holds`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "holds")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub sub_account_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: String,
    /// The pair of the order.
    #[sea_orm(primary_key, auto_increment = false)]
    pub symbol: String,
    pub trading_id: Uuid,
    pub amount: MoneyColumn,
    pub event_id: Option<String>,
    pub expires_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

without_relations!();
