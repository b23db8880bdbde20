//! Looks up resources by id and user.

use crate::error::{Error, Result};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgExecutor};
use tiris_domain::ids::UserId;
use uuid::Uuid;

/// The id of a row that must only exist.
pub(crate) type Id = (Uuid,);

/// Returns the row that `sql` selects for the resource `$1` and the user `$2`.
///
/// # Errors
/// [`Error::NotFound`] of `what` when there is none, such as when it belongs to another user.
pub(crate) async fn owned<T>(
    executor: impl PgExecutor<'_>,
    what: &'static str,
    id: Uuid,
    user: UserId,
    sql: &'static str,
) -> Result<T>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    sqlx::query_as(sql)
        .bind(id)
        .bind(user.0)
        .fetch_optional(executor)
        .await?
        .ok_or(Error::NotFound(what))
}
