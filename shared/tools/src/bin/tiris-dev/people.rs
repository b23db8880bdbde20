//! The two users of a development stack: somebody who trades and somebody who administers.

use anyhow::Result;
use std::path::Path;
use tiris_tools::{IssuedToken, issue_token};

/// The user who trades.
pub(crate) const DEMO_EMAIL: &str = "demo@tiris.local";
const ADMIN_EMAIL: &str = "admin@tiris.local";
/// How long tokens hold, in hours: a stack may run for weeks.
const TOKEN_HOURS: &str = "--ttl-hours=720";

/// Returns a token of the user who trades, made when missing.
pub(crate) async fn demo(database_url: &str, key: &Path) -> Result<IssuedToken> {
    issue_token(database_url, key, &[TOKEN_HOURS, "--email", DEMO_EMAIL]).await
}

/// Returns a token of the user who administers, made when missing.
pub(crate) async fn admin(database_url: &str, key: &Path) -> Result<IssuedToken> {
    let arguments = [TOKEN_HOURS, "--email", ADMIN_EMAIL, "--admin"];
    issue_token(database_url, key, &arguments).await
}
