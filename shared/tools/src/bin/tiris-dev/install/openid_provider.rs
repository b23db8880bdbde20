//! Installing the local OpenID provider.
//!
//! Owns: when it has to be. Must not know: how the provider is started.

use super::node;
use crate::say::say;
use anyhow::Result;
use tiris_testing::{OPENID_PROVIDER_FILES, find_openid_provider, openid_provider_dir};

/// Installs it when it is missing or of another version.
pub(super) fn install() -> Result<()> {
    let place = openid_provider_dir()?;
    if node::is_installed(&place, &OPENID_PROVIDER_FILES) {
        return Ok(());
    }
    say!("The local OpenID provider is not installed: installing it, about 60 MB once.");
    node::install(&place, &OPENID_PROVIDER_FILES)?;
    find_openid_provider()?;
    say!("The OpenID provider lies in {}", place.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_packages_are_pinned_by_hash() {
        node::check_lock(&OPENID_PROVIDER_FILES);
    }
}
