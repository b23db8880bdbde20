//! Installing what checks the OpenAPI document and makes a client of it.
//!
//! Owns: which programs, and where they are put. Must not know: what they are asked.

use super::node::{self, Files};
use crate::folder::Folder;
use crate::say::say;
use anyhow::Result;

const FILES: Files = &[
    ("package.json", include_str!("document-tools/package.json")),
    (
        "package-lock.json",
        include_str!("document-tools/package-lock.json"),
    ),
];

/// Installs them when they are missing or of another version.
pub(super) fn install() -> Result<()> {
    let place = Folder::open()?.programs().join("document-tools");
    if !node::is_installed(&place, FILES) {
        say!(
            "The tools for the OpenAPI document are not installed: installing them, about 60 MB once."
        );
        node::install(&place, FILES)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn their_packages_are_pinned_by_hash() {
        node::check_lock(FILES);
    }
}
