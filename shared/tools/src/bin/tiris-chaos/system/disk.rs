//! A small disk that can be filled.
//!
//! Owns: a file system in memory and its end. Must not know: who writes on it.

use anyhow::{Context, Result};
use nix::unistd::Uid;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tiris_testing::scratch_dir;

/// Room for a cluster and a short run.
const SIZE: &str = "size=512m,mode=755";
const BALLAST: &str = "ballast";
const PIECE_BYTES: usize = 64 * 1024;

/// A file system of its own. Dropping it takes it away.
#[derive(Debug)]
pub(crate) struct Disk {
    // Dropped after the file system is gone.
    place: TempDir,
    data: PathBuf,
}

impl Disk {
    /// Mounts one; none where that is not possible.
    pub(crate) fn mount() -> Result<Option<Self>> {
        if !cfg!(target_os = "linux") || !Uid::effective().is_root() {
            return Ok(None);
        }
        let place = scratch_dir("disk")?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "tiris-chaos"])
            .arg(place.path())
            .stderr(Stdio::null())
            .status();

        if !mounted.is_ok_and(|status| status.success()) {
            return Ok(None);
        }
        let data = place.path().join("postgres");

        Ok(Some(Self { place, data }))
    }

    /// Where the data goes.
    pub(crate) fn folder(&self) -> &Path {
        &self.data
    }

    /// Fills it to the last byte.
    pub(crate) async fn fill(&self) -> Result<()> {
        let path = self.place.path().join(BALLAST);
        tokio::task::spawn_blocking(move || {
            let mut file = File::create(&path).context("cannot make ballast")?;
            let mut piece = PIECE_BYTES;
            while piece > 0 {
                match file.write(&vec![0; piece]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => piece /= 2,
                    Err(error) => return Err(error).context("cannot write ballast"),
                }
            }
            Ok(())
        })
        .await?
    }

    /// Makes room again.
    pub(crate) fn free(&self) -> Result<()> {
        fs::remove_file(self.place.path().join(BALLAST)).context("cannot remove ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whatever still ends there does not keep it.
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(self.place.path())
            .status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.place.path().display());
        }
    }
}
