//! The folder of the development stack: its path, its subfolders, and deleting its data.

use anyhow::{Context, Result};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tiris_testing::{ServerUser, dev_dir};

/// The place of PostgreSQL's data when we are root and its user may not enter our folder.
const OUTSIDE: &str = "/var/lib/tiris-dev";
/// Locked while anything runs.
pub(crate) const LOCK_FILE: &str = "lock";
/// Locked while the leader of the stack lives; names it.
pub(crate) const LEADER_FILE: &str = "leader";
const PROGRAMS: &str = "bin";

/// The folder, which exists.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Returns the folder, created when missing.
    pub(crate) fn open() -> Result<Self> {
        let dir = dev_dir()?;
        create(&dir.join("log"))?;
        Ok(Self(dir.canonicalize()?))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the log file of a part of the stack.
    pub(crate) fn log(&self, part: &str) -> PathBuf {
        self.0.join("log").join(format!("{part}.log"))
    }

    /// Returns the folder of installed programs.
    pub(crate) fn programs(&self) -> PathBuf {
        self.0.join(PROGRAMS)
    }

    /// Returns PostgreSQL's folder. Root's home is closed to the user PostgreSQL runs as; then the data is outside, and a
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
        create(&outside)?;
        match symlink(&outside, &inside) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            linked => {
                linked.with_context(|| format!("cannot create the link {}", inside.display()))?
            }
        }
        say!(
            "  user {} may not enter {}: the data is in {}",
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
    pub(crate) fn delete_data(&self) -> Result<()> {
        remove(&self.outside())?;
        let kept = [PROGRAMS, LOCK_FILE, LEADER_FILE].map(|name| self.0.join(name));
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            if !kept.contains(&path) {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Creates a folder with its parents unless it exists.
pub(crate) fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// Removes a file or a folder with its content; does nothing when it is missing.
pub(crate) fn remove(path: &Path) -> Result<()> {
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
