//! Activity of tradings, with or without postings.

use sea_orm::entity::prelude::*;

/// Row of `trading_logs`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, sqlx::FromRow)]
#[sea_orm(table_name = "trading_logs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub timestamp: DateTimeUtc,
    pub user_id: Uuid,
    pub trading_id: Uuid,
    pub sub_account_id: Option<Uuid>,
    /// The transaction, if the log has exactly one.
    pub transaction_id: Option<Uuid>,
    /// Number of transactions.
    pub postings: i16,
    /// Time by the caller's clock; `timestamp` is the time of recording.
    pub event_time: DateTimeUtc,
    pub r#type: String,
    pub source: String,
    pub order_id: Option<String>,
    pub event_id: Option<String>,
    pub message: String,
    /// The kinds of the differences in `info.drift`; `None` without any.
    pub drift: Option<Vec<String>>,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    pub created_at: DateTimeUtc,
}

without_relations!();
