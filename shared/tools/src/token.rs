//! Access tokens from `tiris-api token`.

use crate::build::Build;
use crate::service::run_program;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::Path;
use tiris_testing::Role;
use tokio::process::Command;

/// An access token and its user.
#[derive(Clone, Debug, Deserialize)]
pub struct IssuedToken {
    /// The access token, a JWT.
    pub token: String,
    /// The id of the user it is issued to.
    pub user_id: String,
}

/// Issues a token with the given arguments of `tiris-api token`, which creates a missing user.
///
/// # Errors
/// When `tiris-api token` fails.
pub async fn issue_token(
    database_url: &str,
    key_file: &Path,
    arguments: &[&str],
) -> Result<IssuedToken> {
    issue_token_of(&Build::This, database_url, key_file, arguments).await
}

/// Like [`issue_token`], by `tiris-api` of any build.
pub(crate) async fn issue_token_of(
    build: &Build,
    database_url: &str,
    key_file: &Path,
    arguments: &[&str],
) -> Result<IssuedToken> {
    let mut command = Command::new(build.program("tiris-api")?);
    command
        .args(["token", "--json"])
        .args(arguments)
        .env("DATABASE_URL", build.database_url(database_url, Role::Api)?)
        .env("TIRIS_ENV", "dev")
        .env("TIRIS_JWT_KEY_FILE", key_file);

    let output = run_program(&mut command).await?;
    serde_json::from_str(&output).context("`tiris-api token --json` printed no token")
}
