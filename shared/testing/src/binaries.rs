//! Finding the programs of this workspace.
//!
//! Owns: where cargo puts them. Must not know: what they do.

use anyhow::{Context, Result, ensure};
use std::path::PathBuf;

/// The path of a program of this workspace, such as `tiris-ingest`, from the build this process belongs to.
///
/// Fails with the command that builds it when it is not there.
pub fn binary(name: &str) -> Result<PathBuf> {
    let executable = std::env::current_exe().context("where is this program?")?;
    let mut folder = executable
        .parent()
        .context("this program lies in no folder")?;
    // Test programs lie in `deps`, one below the others.
    if folder.ends_with("deps") {
        folder = folder.parent().context("deps lies in no folder")?;
    }

    let program = folder.join(name);
    ensure!(
        program.is_file(),
        "{} is missing: run `cargo build --workspace --bins` first",
        program.display()
    );

    Ok(program)
}
