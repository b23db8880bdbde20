//! A user as answers show it.

use crate::http::field::Field;
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::Serialize;
use tiris_domain::states::{Role, UserStatus};
use tiris_domain::value::Info;
use tiris_store::column;
use tiris_store::entity::users::Model;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// A person who may sign in.
#[derive(Object, Serialize)]
pub(in crate::routes) struct User {
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
    role: Field<Role>,
    status: Field<UserStatus>,
    /// Free JSON of the user's programs
    settings: Field<Info>,
    /// Free JSON
    info: Field<Info>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Model> for User {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            username: row.username,
            full_name: row.full_name,
            email: row.email,
            email_verified_at: row.email_verified_at,
            avatar: row.avatar,
            role: Field(column::state(row.role)?),
            status: Field(column::state(row.status)?),
            settings: Field(Info::from_column(row.settings)),
            info: Field(Info::from_column(row.info)),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
