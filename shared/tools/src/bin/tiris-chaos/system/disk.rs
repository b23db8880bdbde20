//! A small file system in memory that can be filled.

use anyhow::{Context, Result};
use nix::unistd::Uid;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tiris_testing::scratch_dir;

/// Holds a database and a short run.
const SIZE: &str = "size=512m,mode=755";
const BALLAST: &str = "ballast";

/// A mounted file system. Dropping it unmounts it.
#[derive(Debug)]
pub(crate) struct Disk {
    // Dropped after the file system is unmounted.
    place: TempDir,
}

impl Disk {
    /// Mounts a file system; none where that is not possible.
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

        let is_mounted = mounted.is_ok_and(|status| status.success());
        Ok(is_mounted.then_some(Self { place }))
    }

    /// Returns the folder for PostgreSQL.
    pub(crate) fn folder(&self) -> PathBuf {
        self.place.path().join("postgres")
    }

    /// Fills the file system to the last byte.
    pub(crate) async fn fill(&self) -> Result<()> {
        let path = self.place.path().join(BALLAST);
        tokio::task::spawn_blocking(move || {
            let mut file = File::create(&path).context("cannot create ballast")?;
            match io::copy(&mut io::repeat(0), &mut file) {
                Err(error) if error.kind() == ErrorKind::StorageFull => Ok(()),
                copied => copied.map(drop).context("cannot write ballast"),
            }
        })
        .await?
    }

    /// Removes the ballast.
    pub(crate) fn free(&self) -> Result<()> {
        fs::remove_file(self.place.path().join(BALLAST)).context("cannot remove ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, because a process may still be ending there.
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(self.place.path())
            .status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.place.path().display());
        }
    }
}
