//! A call's answer, given again when the same call is repeated.

use sea_orm::entity::prelude::*;

/// Row of `idempotency_keys`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub method: String,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub path: String,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub key: String,
    /// Keyed hash of the request body.
    pub body_hmac: Vec<u8>,
    /// HTTP status of the answer.
    pub status: i32,
    /// Body of the answer; without one it is made anew.
    #[sea_orm(column_type = "Text")]
    pub body: Option<String>,
    pub expires_at: DateTimeUtc,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    pub created_at: DateTimeUtc,
}

/// What it refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
