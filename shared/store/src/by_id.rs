//! Statements about a resource by its id.

use crate::error::{Error, Result};
use sqlx::postgres::PgRow;
use sqlx::{Decode, FromRow, PgExecutor, Postgres, Type};
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

/// Executes `sql` for the resource `$1`.
pub(crate) async fn execute(
    executor: impl PgExecutor<'_>,
    id: Uuid,
    sql: &'static str,
) -> Result<()> {
    sqlx::query(sql).bind(id).execute(executor).await?;
    Ok(())
}

/// Returns the value that `sql` selects for the resource `$1`.
pub(crate) async fn scalar<T>(
    executor: impl PgExecutor<'_>,
    id: Uuid,
    sql: &'static str,
) -> Result<T>
where
    T: for<'r> Decode<'r, Postgres> + Type<Postgres> + Send + Unpin,
{
    Ok(sqlx::query_scalar(sql).bind(id).fetch_one(executor).await?)
}
