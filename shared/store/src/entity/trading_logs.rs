//! What happened on a trading, with or without postings.

use sea_orm::entity::prelude::*;

/// Row of `trading_logs`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trading_logs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub timestamp: DateTimeUtc,
    pub user_id: Uuid,
    pub trading_id: Uuid,
    pub sub_account_id: Option<Uuid>,
    /// Its transaction, when it made exactly one.
    pub transaction_id: Option<Uuid>,
    /// How many transactions it made.
    pub postings: i16,
    /// When it happened, by the caller; `timestamp` is when it was recorded.
    pub event_time: DateTimeUtc,
    pub r#type: String,
    pub source: String,
    pub order_id: Option<String>,
    pub event_id: Option<String>,
    pub message: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    pub created_at: DateTimeUtc,
}

/// None that a query follows.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
