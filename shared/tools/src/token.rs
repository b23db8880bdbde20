//! Access tokens by `tiris-api token`.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::Path;
use tiris_testing::binary;
use tokio::process::Command;

/// A token and the user it speaks for.
#[derive(Clone, Debug, Deserialize)]
pub struct IssuedToken {
    /// The access token.
    pub token: String,
    /// The id of its user.
    pub user_id: String,
}

/// Makes a token, and its user when missing; `arguments` say for whom.
///
/// # Errors
/// When `tiris-api token` fails.
pub async fn issue_token(
    database_url: &str,
    key_file: &Path,
    arguments: &[&str],
) -> Result<IssuedToken> {
    let output = Command::new(binary("tiris-api")?)
        .args(["token", "--json"])
        .args(arguments)
        .env("DATABASE_URL", database_url)
        .env("TIRIS_ENV", "dev")
        .env("TIRIS_JWT_KEY_FILE", key_file)
        .output()
        .await
        .context("cannot run tiris-api")?;

    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "no token: tiris-api says: {}",
        errors.trim()
    );
    serde_json::from_slice(&output.stdout)
        .context("tiris-api token printed something else than a token")
}
