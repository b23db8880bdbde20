//! An event id that was seen, and what became of it.

use sea_orm::entity::prelude::*;

/// Row of `processed_events`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "processed_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub event_id: String,
    /// First 16 bytes of the hash of the canonical content.
    pub content_hash: Vec<u8>,
    #[sea_orm(column_type = "Text")]
    pub stream: String,
    pub stream_seq: i64,
    #[sea_orm(column_type = "Text")]
    pub outcome: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    pub created_at: DateTimeUtc,
}

/// What it refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
