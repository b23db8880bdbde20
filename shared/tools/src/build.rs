//! The programs that a tool starts: those of its own build, or those of an earlier release.

use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use tiris_testing::{Role, binary, url_as, url_as_owner};

/// A build of the programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Build {
    /// That of the running tool.
    #[default]
    This,
    /// An earlier release.
    Earlier(Release),
}

/// The programs of an earlier release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    folder: PathBuf,
    /// Whether each service has a role of its own in the database; otherwise all of them are its owner.
    has_roles: bool,
}

impl Release {
    /// Returns the release whose programs are in `folder`, and whose services use the database as its owner.
    ///
    /// # Errors
    /// When a program is missing.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let release = Self {
            folder: folder.to_owned(),
            has_roles: false,
        };
        for name in ["tiris-api", "tiris-ingest", "tiris-migrate"] {
            release.program(name)?;
        }
        Ok(release)
    }

    /// Sets whether each service has a role of its own.
    #[must_use]
    pub fn with_roles(self, has_roles: bool) -> Self {
        Self { has_roles, ..self }
    }

    fn program(&self, name: &str) -> Result<PathBuf> {
        let program = self.folder.join(name);
        ensure!(program.is_file(), "{} is missing", program.display());
        Ok(program)
    }
}

impl Build {
    /// Returns the path of a program.
    ///
    /// # Errors
    /// When it is missing.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        match self {
            Self::This => binary(name),
            Self::Earlier(release) => release.program(name),
        }
    }

    /// Returns the address of the same database for a service.
    ///
    /// # Errors
    /// When `url` is no address of a database.
    pub fn database_url(&self, url: &str, role: Role) -> Result<String> {
        match self {
            Self::Earlier(release) if !release.has_roles => url_as_owner(url),
            _ => url_as(url, role),
        }
    }
}
