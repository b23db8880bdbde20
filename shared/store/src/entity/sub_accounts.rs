//! Assets of tradings. Only the ledger writes `balance`, `locked` and `sequence`.

use crate::numeric::MoneyColumn;
use sea_orm::entity::prelude::*;

/// Row of `sub_accounts`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, sqlx::FromRow)]
#[sea_orm(table_name = "sub_accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub trading_id: Uuid,
    pub name: String,
    pub symbol: String,
    pub balance: MoneyColumn,
    pub locked: MoneyColumn,
    /// Sequence of the last posting, 0 before the first.
    pub sequence: i64,
    pub deleted_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

without_relations!();
