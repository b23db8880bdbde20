//! Installing Schemathesis into an environment of Python of its own, pinned by hash.
//!
//! Owns: when it has to be. Must not know: what it is used for.

use super::python;
use crate::say::say;
use anyhow::Result;
use tiris_testing::{
    SCHEMATHESIS_REQUIREMENTS, SCHEMATHESIS_REQUIREMENTS_FILE, find_schemathesis, schemathesis_dir,
};

/// Installs it when it is missing or of another version.
pub(super) fn install() -> Result<()> {
    if find_schemathesis().is_ok() {
        return Ok(());
    }
    say!("Schemathesis is not installed: installing it, about 30 MB once.");
    python::install(
        &schemathesis_dir()?,
        SCHEMATHESIS_REQUIREMENTS,
        SCHEMATHESIS_REQUIREMENTS_FILE,
    )?;
    find_schemathesis().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_downloaded_is_pinned_by_hash() {
        assert!(SCHEMATHESIS_REQUIREMENTS.contains("schemathesis==4.32.5"));
        python::check_pinned(SCHEMATHESIS_REQUIREMENTS);
    }
}
