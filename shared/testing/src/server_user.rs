//! The unprivileged user that runs PostgreSQL when the tests run as root, which PostgreSQL refuses to be.

use anyhow::{Context, Result, bail};
use nix::unistd::{Uid, User, chown};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Candidates, in order of preference.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];
const GROUP_MAY_ENTER: u32 = 0o010;
const OWNER_MAY_ENTER: u32 = 0o100;
const OTHERS_MAY_ENTER: u32 = 0o001;

/// An unprivileged user to run servers as.
#[derive(Clone, Debug)]
pub struct ServerUser(User);

impl ServerUser {
    /// Returns the user to run servers as; None when this process does not run as root.
    pub fn for_servers() -> Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        for name in CANDIDATES {
            if let Some(user) = User::from_name(name).context("cannot read the list of users")? {
                return Ok(Some(Self(user)));
            }
        }
        bail!("PostgreSQL does not run as root: create a user `postgres` or `nobody` to run it");
    }

    /// Returns the name of the user.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Reports whether the user may enter `path` and all folders above it.
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

    /// Makes the user the owner of `path`, but not of its content.
    pub fn own(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.0.uid), Some(self.0.gid))
            .with_context(|| format!("cannot give {} to user {}", path.display(), self.name()))
    }

    /// Makes `command` run as this user, without the supplementary groups of this process.
    pub fn run<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .uid(self.0.uid.as_raw())
            .gid(self.0.gid.as_raw())
            .env("HOME", "/")
            .env("USER", self.name())
    }
}
