//! The user in responses.

use crate::routes::prelude::*;
use tiris_domain::states::{Role, UserStatus};
use tiris_store::entity::users::Model;

/// A user.
#[derive(Object, Serialize)]
pub(in crate::routes) struct User {
    /// Id of the user
    id: Uuid,
    /// Username, unique among all users; `deleted-` and the id for a deleted user
    username: String,
    /// Full name; may be empty
    full_name: String,
    /// E-mail address from the identity provider; null for users who sign in with WeChat
    #[oai(nullable)]
    email: Option<String>,
    /// When the identity provider verified the e-mail address
    #[oai(nullable)]
    email_verified_at: Option<DateTime<Utc>>,
    /// URL of a picture
    #[oai(nullable)]
    avatar: Option<String>,
    /// `admin` may call the administration operations
    role: Field<Role>,
    /// A `disabled` user cannot sign in or call the API
    status: Field<UserStatus>,
    /// Free JSON for the settings of client programs
    settings: Field<Info>,
    /// Free JSON of the user
    info: Field<Info>,
    /// When the user was created
    created_at: DateTime<Utc>,
    /// When the user was last changed
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
