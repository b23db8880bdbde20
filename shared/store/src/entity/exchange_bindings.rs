//! Accounts at exchanges with encrypted credentials; a public one has no owner and no credentials.

use sea_orm::entity::prelude::*;

/// Row of `exchange_bindings`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, sqlx::FromRow)]
#[sea_orm(table_name = "exchange_bindings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Option<Uuid>,
    pub name: String,
    pub exchange_type: String,
    pub kind: String,
    pub api_key_encrypted: Option<Vec<u8>>,
    pub api_secret_encrypted: Option<Vec<u8>>,
    pub passphrase_encrypted: Option<Vec<u8>>,
    pub masked_api_key: Option<String>,
    pub key_id: Option<String>,
    /// Keyed hash of the API key, to detect duplicates.
    pub fingerprint: Option<Vec<u8>>,
    pub status: String,
    pub last_verified_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

without_relations!();
