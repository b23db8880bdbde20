//! The database of the stack: its schema and users.

use crate::folder::Folder;
use crate::processes::quiet;
use anyhow::{Result, ensure};
use std::time::Duration;
use tiris_tools::{IssuedToken, issue_token};

/// The user who trades.
pub(crate) const DEMO_EMAIL: &str = "demo@tiris.local";
pub(crate) const ADMIN_EMAIL: &str = "admin@tiris.local";
/// Tokens live long, because a stack may run for weeks.
const TOKEN_HOURS: &str = "--ttl-hours=720";
const MIGRATE_LIMIT: Duration = Duration::from_secs(600);

/// Brings the schema up to date.
pub(crate) async fn migrate(folder: &Folder, database_url: &str) -> Result<()> {
    let mut process = quiet("tiris-migrate", &folder.log("tiris-migrate"))?
        .arg("up")
        .env("DATABASE_URL", database_url)
        .spawn()?;
    let status = process.wait(MIGRATE_LIMIT).await?;
    ensure!(
        status.success(),
        "tiris-migrate up failed ({status}):\n{}",
        process.log_tail()
    );
    say!("  schema         current");
    Ok(())
}

/// Returns a token of a user, who is created when missing; `user` is the address and further arguments.
pub(crate) async fn token(folder: &Folder, url: &str, user: &[&str]) -> Result<IssuedToken> {
    let arguments = [&[TOKEN_HOURS, "--email"][..], user].concat();
    issue_token(url, &folder.join("jwt.pem"), &arguments).await
}
