//! The roles of the services and people, and the grants that `up` makes.
//!
//! The roles belong to the whole server, the grants to one database. Every run compares the grants with [`rights`] and
//! corrects them, so that a restored or converted database has them too.

mod apply;
mod owner;
pub mod rights;

pub(crate) use apply::apply;
pub(crate) use owner::assume_owner;

use crate::connect;
use anyhow::{Result, bail};
use rights::Role;
use sqlx::{AssertSqlSafe, Executor};

/// Another run created the role at the same moment.
const CREATED_MEANWHILE: [&str; 2] = ["42710", "23505"];
const NOT_ALLOWED: &str = "42501";

/// Creates the missing roles, without the right to log in.
///
/// # Errors
/// When a role is missing and the user may not create it; the message has the statements for an administrator.
pub(crate) async fn ensure(database_url: &str) -> Result<()> {
    let mut connection = connect::connect(database_url).await?;
    let present: Vec<String> =
        sqlx::query_scalar("SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'tiris_%'")
            .fetch_all(&mut connection)
            .await?;
    let missing: Vec<String> = Role::ALL
        .iter()
        .filter(|role| !present.iter().any(|name| name == role.name()))
        .map(|role| format!("CREATE ROLE {}", role.name()))
        .collect();

    for statement in &missing {
        let created = connection.execute(AssertSqlSafe(statement.clone())).await;
        let Err(error) = created else { continue };
        let code = error.as_database_error().and_then(|error| error.code());

        match code.as_deref() {
            Some(code) if CREATED_MEANWHILE.contains(&code) => {}
            Some(NOT_ALLOWED) => bail!(
                "roles are missing, and {} may not create them. Let an administrator of the server run this, then \
                 repeat the command: {};",
                connect::describe(database_url)?,
                missing.join("; ")
            ),
            _ => return Err(error.into()),
        }
    }
    Ok(())
}
