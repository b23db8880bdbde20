//! Users of the API.

use sea_orm::entity::prelude::*;

/// Row of `users`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, sqlx::FromRow)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub username: String,
    pub full_name: String,
    pub email: Option<String>,
    pub email_verified_at: Option<DateTimeUtc>,
    pub avatar: Option<String>,
    pub role: String,
    pub status: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub settings: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    /// An earlier user has an equal username.
    pub username_shared: bool,
    /// An earlier user has an equal e-mail address.
    pub email_shared: bool,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

without_relations!();
