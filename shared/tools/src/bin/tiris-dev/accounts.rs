//! The streams of a development folder from before the broker had accounts.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use tiris_tools::STREAM_OWNER;

/// The account of clients without a login on a server without accounts.
const UNNAMED: &str = "$G";

/// Moves the streams of a server that had no accounts into the account that owns them; they keep their identity.
pub(crate) fn adopt_streams(store: &Path) -> Result<()> {
    // The server adds this folder to its own.
    let accounts = store.join("jetstream");
    let before = accounts.join(UNNAMED);
    let after = accounts.join(STREAM_OWNER);
    if !before.exists() || after.exists() {
        return Ok(());
    }

    fs::rename(&before, &after)
        .with_context(|| format!("cannot rename {} to {}", before.display(), after.display()))
}
