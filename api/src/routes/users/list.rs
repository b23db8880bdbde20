//! `GET /v1/users`

use super::object::User;
use crate::http::filter::equal;
use crate::http::page::{Page, Pagination};
use crate::routes::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::sea_query::extension::postgres::PgExpr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};
use tiris_domain::states::UserStatus;
use tiris_store::entity::users::{Column, Entity, Model};

/// List all users, for admins.
pub(crate) struct ListUsers;

impl Policy for ListUsers {
    const ACCESS: Access = Access::Admin;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID];
}

const ORDER: (Column, Column) = (Column::CreatedAt, Column::Id);
/// Longest text users are looked for by, in characters.
const QUERY_CHARS_MAX: usize = 128;

/// One page of users, newest first.
#[derive(Object, Serialize)]
struct UserPage {
    users: Vec<User>,
    pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl ListUsers {
    /// Users, newest first (admins)
    #[oai(path = "/", method = "get", operation_id = "listUsers")]
    async fn list(
        &self,
        _admin: Caller<Self>,
        state: Data<&State>,
        /// Only those with this text in username, name or e-mail address, or with this id
        query: Query<Option<String>>,
        /// Only those with this status
        status: Query<Option<Field<UserStatus>>>,
        /// Users of the page, 1 to 1000, by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the page before; stable while new users come in
        cursor: Query<Option<String>>,
    ) -> Answer<UserPage, Self> {
        let page = Page::new(limit.0, cursor.0.as_deref(), None, None)?;
        let status = status.0.map(|status| status.0.as_str());
        let rows = Entity::find()
            .filter(equal(Column::Status, status))
            .filter(matching(query.0.as_deref())?);

        let key = |row: &Model| (row.created_at, row.id);
        let (rows, pagination) = page.read(state.histories.lists(), rows, ORDER, key).await?;

        let users = rows.into_iter().map(User::try_from);
        Ok(Reply::read(UserPage {
            users: users.collect::<Result<_>>()?,
            pagination,
        }))
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

    let escaped = query
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    let pattern = format!("%{escaped}%");
    let like = |column: Column| Expr::col(column.as_column_ref()).ilike(pattern.clone());
    let named = [Column::Username, Column::FullName, Column::Email].map(like);
    let found = named.into_iter().fold(Condition::any(), Condition::add);
    Ok(Uuid::try_parse(query).map_or(found.clone(), |id| found.add(Column::Id.eq(id))))
}
