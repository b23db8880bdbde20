//! The accounts of the broker, as in `docker/nats/accounts.conf`: one that owns the streams, and one of bots.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use tiris_domain::event::Kind;

/// The login of a bot; on this machine it may publish for every user.
pub(crate) const BOT_LOGIN: &str = "bot:bot";
/// The account that owns the streams.
const OWNER: &str = "TIRIS";
/// The account of clients without a login on a server without accounts.
const UNNAMED: &str = "$G";

/// Returns the accounts for the configuration file. A client without a login is one of the account that owns the streams, so
/// that every command works without one.
pub(crate) fn configuration() -> String {
    let subjects: Vec<String> = Kind::ALL
        .iter()
        .map(|kind| format!("{}.*", kind.bare_subject()))
        .collect();
    let exports: Vec<String> = subjects
        .iter()
        .map(|subject| format!("{{ service: \"{subject}\", accounts: [BOTS] }}"))
        .collect();
    let imports: Vec<String> = subjects
        .iter()
        .map(|subject| format!("{{ service: {{ account: {OWNER}, subject: \"{subject}\" }} }}"))
        .collect();
    let exports = exports.join(", ");
    let imports = imports.join(", ");

    format!(
        "no_auth_user: tiris\naccounts {{\n  \
         {OWNER} {{ jetstream: enabled, users: [{{ user: tiris, password: tiris }}], exports: [{exports}] }}\n  \
         BOTS {{ users: [{{ user: bot, password: bot }}], imports: [{imports}] }}\n}}"
    )
}

/// Moves the streams of a server that had no accounts into the account that owns them; they keep their identity.
pub(crate) fn adopt_streams(store: &Path) -> Result<()> {
    // The server adds this folder to its own.
    let accounts = store.join("jetstream");
    let before = accounts.join(UNNAMED);
    let after = accounts.join(OWNER);
    if !before.exists() || after.exists() {
        return Ok(());
    }

    fs::rename(&before, &after)
        .with_context(|| format!("cannot rename {} to {}", before.display(), after.display()))
}
