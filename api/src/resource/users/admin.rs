//! What admins do with users: find them, disable and enable them.

use super::object::{User, UserStatus};
use super::profile::record;
use crate::auth::Admin;
use crate::body::JsonBody;
use crate::envelope::{Answer, Reply};
use crate::fields::{Fields, FromFields};
use crate::filter::equal;
use crate::ledger::Work;
use crate::once::Once;
use crate::page::{Page, Pagination};
use crate::resource::Tag;
use crate::resource::refusals::{AdminFiltered, AdminRead, AdminUser, AdminUserBare};
use crate::state::State;
use crate::version::IfMatch;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::types::{Example, ToJSON};
use poem_openapi::{Object, OpenApi};
use sea_orm::sea_query::Expr;
use sea_orm::sea_query::extension::postgres::PgExpr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tiris_domain::ids::UserId;
use tiris_domain::states;
use tiris_store::entity::users::{Column, Entity, Model};
use tiris_store::error::{Error, Result};
use tiris_store::{sessions, users};
use uuid::Uuid;

/// Operations on all users.
pub(crate) struct UserAdmin;

const ORDER: (Column, Column) = (Column::CreatedAt, Column::Id);
/// Longest text users are looked for by, in characters.
const QUERY_CHARS_MAX: usize = 128;
/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

/// One page of users, newest first.
#[derive(Object, Serialize)]
struct UserPage {
    users: Vec<User>,
    pagination: Pagination,
}

/// Why a user is disabled.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
struct Disabling {
    /// Kept in the audit trail
    #[oai(validator(max_length = 500))]
    reason: Option<String>,
}

impl Example for Disabling {
    fn example() -> Self {
        Self {
            reason: Some("the bot of this user floods the stream".to_owned()),
        }
    }
}

impl FromFields for Disabling {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            reason: fields.text("reason", 0, REASON_CHARS_MAX)?,
        })
    }
}

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl UserAdmin {
    /// Users, newest first (admins)
    #[oai(path = "/", method = "get", operation_id = "listUsers")]
    async fn list(
        &self,
        _admin: Admin,
        state: Data<&State>,
        /// Only those with this text in username, name or e-mail address, or with this id
        query: Query<Option<String>>,
        /// Only those with this status
        status: Query<Option<UserStatus>>,
        /// Users of the page, 1 to 1000, by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the page before; stable while new users come in
        cursor: Query<Option<String>>,
    ) -> Answer<UserPage, AdminFiltered> {
        let page = Page::new(limit.0, cursor.0.as_deref(), None, None)?;
        let status = match status.0.and_then(|status| status.to_json()) {
            Some(Value::String(name)) => Some(name),
            _ => None,
        };
        let rows = Entity::find()
            .filter(equal(Column::Status, status))
            .filter(matching(query.0.as_deref())?);
        let (rows, pagination) = page
            .read(&state.db, rows, ORDER, |row: &Model| {
                (row.created_at, row.id)
            })
            .await?;
        let users = rows
            .into_iter()
            .map(User::from_row)
            .collect::<Result<_>>()?;
        Ok(Reply::new(UserPage { users, pagination }))
    }

    /// One user (admins)
    #[oai(path = "/:id", method = "get", operation_id = "getUser")]
    async fn get(
        &self,
        _admin: Admin,
        state: Data<&State>,
        /// The user
        id: Path<Uuid>,
    ) -> Answer<User, AdminRead> {
        Ok(Reply::new(User::load(&state.db, id.0).await?))
    }

    /// Disables a user (admins): all sessions end, and what bots of the user publish becomes dead letters
    ///
    /// Admins cannot disable themselves. Disabling again changes nothing.
    #[oai(path = "/:id/disable", method = "put", operation_id = "disableUser")]
    async fn disable(
        &self,
        admin: Admin,
        state: Data<&State>,
        /// The user
        id: Path<Uuid>,
        once: Once,
        /// ETag of the version to be changed
        #[oai(name = "If-Match")]
        seen: IfMatch,
        body: JsonBody<Disabling>,
    ) -> Answer<User, AdminUser> {
        if id.0 == admin.user().0 {
            return Err(Error::AccessDenied("admins cannot disable themselves").into());
        }
        let work = DisableWork {
            admin: &admin,
            user: UserId(id.0),
            seen,
            reason: body.0.reason,
        };
        let reply = once.commit(&state, admin.user(), &work).await?;
        if let Some(disabled) = reply.made() {
            state.sessions.forget(&disabled.ended).await;
        }
        Ok(reply.map(|disabled| disabled.user))
    }

    /// Enables a user again (admins), who has to sign in again
    ///
    /// Dead letters stay: replay them by `POST /v1/events/dead-letters/replay`.
    #[oai(path = "/:id/enable", method = "put", operation_id = "enableUser")]
    async fn enable(
        &self,
        admin: Admin,
        state: Data<&State>,
        /// The user
        id: Path<Uuid>,
        once: Once,
        /// ETag of the version to be changed
        #[oai(name = "If-Match")]
        seen: IfMatch,
    ) -> Answer<User, AdminUserBare> {
        let work = EnableWork {
            admin: &admin,
            user: UserId(id.0),
            seen,
        };
        Ok(once.commit(&state, admin.user(), &work).await?)
    }
}

/// Users whose names or address contain the text, or whose id it is; all when there is none.
fn matching(query: Option<&str>) -> Result<Condition> {
    let Some(query) = query.map(str::trim).filter(|query| !query.is_empty()) else {
        return Ok(Condition::all());
    };
    if query.chars().count() > QUERY_CHARS_MAX || query.contains('\0') {
        let why = format!("may have at most {QUERY_CHARS_MAX} characters, none of them U+0000");
        return Err(Error::invalid("query", why));
    }
    let pattern = format!(
        "%{}%",
        query
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_")
    );
    let like = |column: Column| Expr::col(column.as_column_ref()).ilike(pattern.clone());
    let named = [Column::Username, Column::FullName, Column::Email].map(like);
    let found = named.into_iter().fold(Condition::any(), Condition::add);
    Ok(Uuid::try_parse(query).map_or(found.clone(), |id| found.add(Column::Id.eq(id))))
}

struct DisableWork<'a> {
    admin: &'a Admin,
    user: UserId,
    seen: IfMatch,
    reason: Option<String>,
}

/// A user who is disabled, and the sessions that ended by it.
#[derive(Serialize)]
#[serde(transparent)]
struct Disabled {
    user: User,
    #[serde(skip)]
    ended: Vec<Uuid>,
}

impl Work for DisableWork<'_> {
    type Output = Disabled;

    async fn run(&self, connection: &mut PgConnection) -> Result<Disabled> {
        let status = users::lock(connection, self.user)
            .await?
            .ok_or(Error::NotFound("user"))?;
        self.seen
            .check(User::load_within(connection, self.user))
            .await?;
        let mut ended = Vec::new();
        if status != states::UserStatus::Disabled {
            users::set_status(connection, self.user, states::UserStatus::Disabled).await?;
            ended = sessions::revoke_all(connection, self.user).await?;
            let after = json!({"reason": self.reason, "sessions": ended.len()});
            record(
                connection,
                self.admin.actor(),
                "user.disable",
                self.user,
                Some(after),
            )
            .await?;
        }
        Ok(Disabled {
            user: User::load_within(connection, self.user).await?,
            ended,
        })
    }
}

struct EnableWork<'a> {
    admin: &'a Admin,
    user: UserId,
    seen: IfMatch,
}

impl Work for EnableWork<'_> {
    type Output = User;

    async fn run(&self, connection: &mut PgConnection) -> Result<User> {
        let status = users::lock(connection, self.user)
            .await?
            .ok_or(Error::NotFound("user"))?;
        self.seen
            .check(User::load_within(connection, self.user))
            .await?;
        if status != states::UserStatus::Active {
            users::set_status(connection, self.user, states::UserStatus::Active).await?;
            record(
                connection,
                self.admin.actor(),
                "user.enable",
                self.user,
                None,
            )
            .await?;
        }
        User::load_within(connection, self.user).await
    }
}
