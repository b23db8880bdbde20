//! The two users of a development stack: somebody who trades and somebody who administers.
//!
//! Owns: their names, getting tokens for them. Must not know: what a token says.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::Path;
use std::process::Command;
use tiris_testing::binary;

/// Who trades.
pub(crate) const DEMO_EMAIL: &str = "demo@tiris.local";
/// Who administers.
const ADMIN_EMAIL: &str = "admin@tiris.local";
/// How long tokens hold, in hours: a stack may run for weeks.
const TOKEN_HOURS: &str = "720";

/// A user and a token that speaks for it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Person {
    pub(crate) token: String,
    pub(crate) user_id: String,
}

/// Who trades, made when missing.
pub(crate) async fn demo(database_url: &str, key: &Path) -> Result<Person> {
    person(&["--email", DEMO_EMAIL], database_url, key).await
}

/// Who administers, made when missing.
pub(crate) async fn admin(database_url: &str, key: &Path) -> Result<Person> {
    person(&["--email", ADMIN_EMAIL, "--admin"], database_url, key).await
}

async fn person(who: &[&str], database_url: &str, key: &Path) -> Result<Person> {
    let mut command = Command::new(binary("tiris-api")?);
    command
        .args(["token", "--json", "--ttl-hours", TOKEN_HOURS])
        .args(who);
    command
        .env("DATABASE_URL", database_url)
        .env("TIRIS_JWT_KEY_FILE", key)
        .env("TIRIS_ENV", "dev");
    let output = tokio::task::spawn_blocking(move || command.output())
        .await?
        .context("cannot run tiris-api")?;
    if !output.status.success() {
        bail!(
            "no token: tiris-api says: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    serde_json::from_slice(&output.stdout)
        .context("tiris-api token printed something else than a token")
}
