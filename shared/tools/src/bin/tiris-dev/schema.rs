//! The database of the stack and its schema.
//!
//! Owns: making it, migrating it. Must not know: the server.

use crate::folder::Folder;
use crate::say::say;
use crate::services::quiet;
use anyhow::{Context, Result, bail};
use sqlx::{Connection, Executor, PgConnection};
use std::time::Duration;

/// The database both binaries use.
pub(crate) const DATABASE: &str = "tiris";
const MIGRATE_LIMIT: Duration = Duration::from_secs(600);

/// Makes the database unless it is there; `server_url` is that of another database of the server.
pub(crate) async fn make_database(server_url: &str) -> Result<()> {
    let mut connection = PgConnection::connect(server_url)
        .await
        .context("cannot connect to PostgreSQL")?;
    let there: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut connection)
            .await?;

    if !there {
        connection
            .execute("CREATE DATABASE tiris")
            .await
            .context("cannot make the database")?;
    }

    connection.close().await.map_err(Into::into)
}

/// Brings the schema up to date.
pub(crate) async fn migrate(folder: &Folder, database_url: &str) -> Result<()> {
    let log = folder.log("tiris-migrate");
    let command = quiet("tiris-migrate", &log)?
        .arg("up")
        .env("DATABASE_URL", database_url);
    let mut process = command.spawn()?;
    let status = process.wait(MIGRATE_LIMIT).await?;
    if !status.success() {
        let log = process.log_tail();
        bail!("tiris-migrate up failed ({status}):\n{log}");
    }
    say!("  schema         current");
    Ok(())
}
