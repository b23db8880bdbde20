//! The folder of the development stack.
//!
//! Owns: what lies where in it, and forgetting it. Must not know: what the files mean.

use crate::say::say;
use anyhow::{Context, Result};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tiris_testing::{ServerUser, dev_dir};

/// Where PostgreSQL's data goes when we are root and its user may not enter our folder.
const OUTSIDE: &str = "/var/lib/tiris-dev";

/// The folder, which exists.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes it when it is missing.
    pub(crate) fn open() -> Result<Self> {
        let dir = dev_dir()?;
        fs::create_dir_all(dir.join("log"))
            .with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self(dir.canonicalize()?))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The log file of a part of the stack.
    pub(crate) fn log(&self, part: &str) -> PathBuf {
        self.0.join("log").join(format!("{part}.log"))
    }

    pub(crate) fn env_file(&self) -> PathBuf {
        self.0.join("env")
    }

    /// The key that signs access tokens; the API makes it when it is missing.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.0.join("jwt.pem")
    }

    /// What credentials are encrypted with; the API makes it when it is missing.
    pub(crate) fn encryption_file(&self) -> PathBuf {
        self.0.join("encryption.env")
    }

    pub(crate) fn ports_file(&self) -> PathBuf {
        self.0.join("ports.json")
    }

    /// Locked while anything runs.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Locked while the leader of the stack lives; names it.
    pub(crate) fn leader_file(&self) -> PathBuf {
        self.0.join("leader")
    }

    pub(crate) fn programs(&self) -> PathBuf {
        self.0.join("bin")
    }

    pub(crate) fn nats(&self) -> PathBuf {
        self.0.join("nats")
    }

    /// PostgreSQL's folder. Root's home is closed to the user PostgreSQL runs as; then the data lies outside and a
    /// link here leads to it.
    pub(crate) fn postgres(&self) -> Result<PathBuf> {
        let inside = self.0.join("postgres");
        let Some(account) = ServerUser::for_servers()? else {
            return Ok(inside);
        };

        if account.can_reach(&self.0) {
            return Ok(inside);
        }
        let outside = self.outside();
        fs::create_dir_all(&outside)
            .with_context(|| format!("cannot make {}", outside.display()))?;

        match symlink(&outside, &inside) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            linked => {
                linked.with_context(|| format!("cannot make the link {}", inside.display()))?
            }
        }

        say!(
            "  user {} may not enter {}: the data lies in {}",
            account.name(),
            self.0.display(),
            outside.display()
        );

        Ok(outside)
    }

    fn outside(&self) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        Path::new(OUTSIDE).join(format!("{:016x}", hasher.finish()))
    }

    /// Removes everything but the installed programs and the locks.
    pub(crate) fn forget(&self) -> Result<()> {
        remove(&self.outside())?;
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            if ![self.programs(), self.lock_file(), self.leader_file()].contains(&path) {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Result<()> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let removed = if meta.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}
