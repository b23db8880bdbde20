//! The roles of the database on the servers of tests and tools, where they log in without a password.

use anyhow::{Context, Result};
use reqwest::Url;
use sqlx::{PgConnection, Row};
use tiris_migrations::roles::rights::Role;

/// The owner of databases and tables, who is no superuser.
pub(super) const OWNER: &str = "tiris_owner";

/// Creates the owner and the roles where they are missing, and lets them log in.
pub(super) async fn prepare(connection: &mut PgConnection) -> Result<()> {
    let names: Vec<&str> = [OWNER]
        .into_iter()
        .chain(Role::ALL.map(Role::name))
        .collect();
    let rows = sqlx::query(
        "SELECT format(CASE WHEN r.oid IS NULL THEN 'CREATE ROLE %I LOGIN' ELSE 'ALTER ROLE %I LOGIN' END, name)
         FROM UNNEST($1::text[]) AS name LEFT JOIN pg_roles r ON r.rolname = name
         WHERE r.rolcanlogin IS NOT TRUE",
    )
    .bind(names)
    .fetch_all(&mut *connection)
    .await?;

    for row in rows {
        let statement: String = row.try_get(0)?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await
            .context("cannot prepare the roles")?;
    }
    Ok(())
}

/// Returns the address of the same database for a role.
pub fn url_as(url: &str, role: Role) -> Result<String> {
    url_of(url, role.name())
}

/// Returns the address of the same database for its owner.
pub fn url_as_owner(url: &str) -> Result<String> {
    url_of(url, OWNER)
}

fn url_of(url: &str, user: &str) -> Result<String> {
    let mut url: Url = url.parse().context("the address of the database")?;
    url.set_username(user)
        .and_then(|()| url.set_password(None))
        .map_err(|()| anyhow::anyhow!("the address of the database has no host"))?;
    Ok(url.into())
}
