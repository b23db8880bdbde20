//! How far a lane has come and who owns it.

use sea_orm::entity::prelude::*;

/// Row of `ingest_lanes`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ingest_lanes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub stream: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub lane: i32,
    pub epoch: i64,
    /// Token of the process that owns the lane.
    pub owner: Option<Uuid>,
    pub lease_until: Option<DateTimeUtc>,
    /// Every message of the lane up to this stream sequence is done.
    pub cursor: i64,
    pub fingerprint: Option<Vec<u8>>,
    /// Nanoseconds since 1970.
    pub stream_created_at: i64,
    pub lag_messages: Option<i64>,
    #[sea_orm(column_type = "Decimal(Some((20, 3)))")]
    pub lag_seconds: Option<Decimal>,
    pub last_commit_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "Text")]
    pub status: String,
    #[sea_orm(column_type = "Text")]
    pub status_reason: Option<String>,
    /// Whether `lag_messages` is counted; else it is an upper bound.
    pub lag_exact: Option<bool>,
    pub lag_at: Option<DateTimeUtc>,
    pub events_today: i64,
    /// The day (UTC) of `events_today`.
    pub events_day: Option<Date>,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

/// What it refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
