//! Sessions of users.

use sea_orm::entity::prelude::*;

/// Row of `sessions`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    /// Of a refresh token that stays the same.
    pub refresh_token_hash: Option<Vec<u8>>,
    pub user_agent: Option<String>,
    pub ip: Option<String>,
    pub last_used_at: Option<DateTimeUtc>,
    /// Number of the refresh token that rotates.
    pub refresh_generation: Option<i32>,
    pub rotated_at: Option<DateTimeUtc>,
    pub expires_at: DateTimeUtc,
    pub revoked_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

without_relations!();
