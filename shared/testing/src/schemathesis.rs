//! Schemathesis, which asks an API whatever its OpenAPI document allows and does not allow.
//!
//! Owns: which version, and where it is installed. Must not know: how it is installed, what it asks.

use super::place::dev_dir;
use anyhow::{Result, ensure};
use std::fs;
use std::path::PathBuf;

/// What is installed, pinned by hash.
pub const SCHEMATHESIS_REQUIREMENTS: &str = include_str!("schemathesis/requirements.txt");
/// Remembers what was installed.
pub const SCHEMATHESIS_REQUIREMENTS_FILE: &str = "requirements.txt";

/// Its folder, an environment of Python, whether or not it is installed.
pub fn schemathesis_dir() -> Result<PathBuf> {
    Ok(dev_dir()?.join("bin/schemathesis"))
}

/// Its program, when it is installed as this build wants it.
pub fn find_schemathesis() -> Result<PathBuf> {
    let folder = schemathesis_dir()?;
    let installed = fs::read_to_string(folder.join(SCHEMATHESIS_REQUIREMENTS_FILE));
    let program = folder.join("bin/schemathesis");
    ensure!(
        program.is_file()
            && installed.is_ok_and(|installed| installed == SCHEMATHESIS_REQUIREMENTS),
        "Schemathesis is not installed in {}: run `make fuzz`",
        folder.display()
    );
    Ok(program)
}
