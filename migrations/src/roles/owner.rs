//! The role that owns the tables.

use anyhow::Result;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

/// The owner of the schema; before the first migration that of the database.
#[derive(sqlx::FromRow)]
struct Owner {
    /// Quoted for a statement.
    name: String,
    /// Whether the user of the session is another role that may act as the owner.
    is_other: bool,
}

/// Lets the session act as the owner of the tables, where its user is a member of that role, so that all tables and
/// functions have one owner, independent of the user who runs the command.
pub(crate) async fn assume_owner(connection: &mut PgConnection) -> Result<()> {
    let owner: Owner = sqlx::query_as(
        "SELECT quote_ident(o.rolname) AS name,
                o.rolname <> current_user AND pg_has_role(current_user, o.oid, 'MEMBER') AS is_other
         FROM pg_roles o
         WHERE o.oid = coalesce((SELECT relowner FROM pg_class WHERE oid = to_regclass('public.seaql_migrations')),
                                (SELECT datdba FROM pg_database WHERE datname = current_database()))",
    )
    .fetch_one(&mut *connection)
    .await?;

    if owner.is_other {
        let statement = format!("SET ROLE {}", owner.name);
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    Ok(())
}
