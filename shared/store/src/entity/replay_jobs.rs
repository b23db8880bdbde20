//! An admin's order to read a range of a stream again.

use sea_orm::entity::prelude::*;

/// Row of `replay_jobs`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "replay_jobs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub requested_by: Option<Uuid>,
    pub start_time: DateTimeUtc,
    pub end_time: DateTimeUtc,
    pub user_id: Option<Uuid>,
    #[sea_orm(column_type = "Array(sea_orm::sea_query::RcOrArc::new(ColumnType::Text))")]
    pub event_types: Option<Vec<String>>,
    #[sea_orm(column_type = "Text")]
    pub status: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub progress: Json,
    pub applied: i64,
    pub duplicate: i64,
    pub rejected: i64,
    /// Why it failed.
    #[sea_orm(column_type = "Text")]
    pub reason: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

/// What it refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
