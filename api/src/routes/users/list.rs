//! `GET /v1/users`

use super::object::User;
use crate::routes::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::sea_query::extension::postgres::PgExpr;
use tiris_domain::states::UserStatus;
use tiris_store::entity::users::{Column, Entity, Model};

operation!(ListUsers: Admin, General, [INVALID]);

const ORDER: (Column, Column) = (Column::CreatedAt, Column::Id);
/// Longest search text, in characters.
const QUERY_CHARS_MAX: usize = 128;

/// A page of users.
#[derive(Object, Serialize)]
struct UserPage {
    /// Users, newest first
    users: Listed<User>,
    /// Position of the page in the list
    pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::AdminUsers")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl ListUsers {
    /// Search users
    ///
    /// Admins only. Returns a page of all users, newest first, deleted ones included; all given filters must match.
    #[oai(path = "/", method = "get", operation_id = "listUsers")]
    async fn list(
        &self,
        admin: Caller<Self>,
        state: Data<&State>,
        /// Only users with this text in username, full name or e-mail address (case-insensitive), or with this id; at most
        /// 128 characters
        query: Query<Option<String>>,
        /// Only users with this status: `active`, `disabled` or `deleted`
        status: Query<Option<Field<UserStatus>>>,
        /// Names of the fields to return of each object, separated by commas, such as `id,username`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
    ) -> Answer<UserPage, Self> {
        let page = Page::new(limit.0, cursor.0.as_deref(), None, None)?;
        let chosen = Chosen::of::<User>(fields.0.as_deref())?;
        let status = status.0.map(|status| status.0.as_str());
        let rows = Entity::find()
            .filter(equal(Column::Status, status))
            .filter(matching(query.0.as_deref())?);

        let list = List {
            rows,
            columns: ORDER,
            key: |row: &Model| (row.created_at, row.id),
        };

        let mut answer = state.answers.begin(admin.user());
        let (rows, pagination) = page
            .read(&mut answer, state.histories.lists(), list, |row| {
                chosen.serialize(&User::try_from(row)?)
            })
            .await?;
        let data = UserPage {
            users: rows.into(),
            pagination,
        };
        Ok(Reply::list(data, answer))
    }
}

/// Selects users by a text in their names or e-mail address, or by id.
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
