//! A user as answers show it.

use crate::entities::Entities;
use crate::resource::stored;
use crate::value::Info;
use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object};
use sea_orm::{EntityTrait, FromQueryResult};
use serde::Serialize;
use sqlx::PgConnection;
use tiris_domain::ids::UserId;
use tiris_store::entity::users;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// What a user may do.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(in crate::resource) enum UserRole {
    User,
    Admin,
}

/// Whether a user may sign in.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(in crate::resource) enum UserStatus {
    Active,
    Disabled,
    Deleted,
}

/// A person who may sign in.
#[derive(Object, Serialize)]
pub(in crate::resource) struct User {
    id: Uuid,
    /// Unique name
    username: String,
    /// Name in full, may be empty
    full_name: String,
    /// E-mail address; null for those who sign in by WeChat
    #[oai(nullable)]
    email: Option<String>,
    /// When the address was verified
    #[oai(nullable)]
    email_verified_at: Option<DateTime<Utc>>,
    /// URL of a picture
    #[oai(nullable)]
    avatar: Option<String>,
    role: UserRole,
    status: UserStatus,
    /// Free JSON of the user's programs
    settings: Info,
    /// Free JSON
    info: Info,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl User {
    pub(in crate::resource) fn from_row(row: users::Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            username: row.username,
            full_name: row.full_name,
            email: row.email,
            email_verified_at: row.email_verified_at,
            avatar: row.avatar,
            role: stored(&row.role)?,
            status: stored(&row.status)?,
            settings: Info::from_column(row.settings),
            info: Info::from_column(row.info),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }

    /// One user, whatever the status.
    pub(in crate::resource) async fn load(db: &Entities, id: Uuid) -> Result<Self> {
        let row = users::Entity::find_by_id(id).one(db).await?;
        Self::from_row(row.ok_or(Error::NotFound("user"))?)
    }

    /// The same as the running transaction has it.
    pub(in crate::resource) async fn load_within(
        connection: &mut PgConnection,
        id: UserId,
    ) -> Result<Self> {
        let row = sqlx::query("SELECT id, username, full_name, email, email_verified_at, avatar, role, status, settings, info, created_at, updated_at \
             FROM users WHERE id = $1")
            .bind(id.0)
            .fetch_optional(connection)
            .await?;
        let row = row.ok_or(Error::NotFound("user"))?;
        Self::from_row(users::Model::from_query_result(&row.into(), "")?)
    }
}
