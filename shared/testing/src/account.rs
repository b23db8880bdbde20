//! The unprivileged user that runs PostgreSQL when we are root, which PostgreSQL refuses to be.
//!
//! Owns: which user that is, what it can reach, giving it files and commands. Must not know: PostgreSQL.

use anyhow::{Context, Result, bail};
use nix::unistd::{Uid, User, chown};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Users to try, in this order.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];
const GROUP_MAY_ENTER: u32 = 0o010;
const OWNER_MAY_ENTER: u32 = 0o100;
const OTHERS_MAY_ENTER: u32 = 0o001;

/// A user to become.
#[derive(Clone, Debug)]
pub struct Account(User);

impl Account {
    /// The user to run servers as: `None` when we are an ordinary user already.
    pub fn for_servers() -> Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        for name in CANDIDATES {
            if let Some(user) = User::from_name(name).context("reading the list of users")? {
                return Ok(Some(Self(user)));
            }
        }
        bail!(
            "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` to run it as"
        );
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether the user may enter every folder on the way to `path`, and `path` itself.
    #[must_use]
    pub fn can_reach(&self, path: &Path) -> bool {
        path.ancestors()
            .filter(|folder| folder.exists())
            .all(|folder| self.can_enter(folder))
    }

    fn can_enter(&self, folder: &Path) -> bool {
        folder.metadata().is_ok_and(|meta| {
            let bit = if meta.uid() == self.0.uid.as_raw() {
                OWNER_MAY_ENTER
            } else if meta.gid() == self.0.gid.as_raw() {
                GROUP_MAY_ENTER
            } else {
                OTHERS_MAY_ENTER
            };
            meta.permissions().mode() & bit != 0
        })
    }

    /// Gives it `path` (not what is inside).
    pub fn own(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.0.uid), Some(self.0.gid))
            .with_context(|| format!("cannot give {} to user {}", path.display(), self.name()))
    }

    /// Makes `command` run as this user, without our further groups.
    pub fn run<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .uid(self.0.uid.as_raw())
            .gid(self.0.gid.as_raw())
            .env("HOME", "/")
            .env("USER", self.name())
    }
}
