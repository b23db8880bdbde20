//! The addresses and tokens of a running stack, as variables that all our commands read.
//!
//! Owns: their names, writing them for a shell, reading them back. Must not know: how the stack was started.

use crate::folder::Folder;
use crate::ports::Ports;
use crate::sign_in::SignIn;
use anyhow::{Context, Result};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use tiris_tools::IssuedToken;

/// The name of the variable with the address logins come back to; there is none without the provider.
pub(crate) const REDIRECT_URI: &str = "REDIRECT_URI";
/// The file holds tokens.
const OWNER_ONLY: u32 = 0o600;

/// Variables and their values, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Environment(Vec<(String, String)>);

impl Environment {
    pub(crate) fn new(
        ports: &Ports,
        sign_in: SignIn,
        database_url: &str,
        demo: &IssuedToken,
        admin: &IssuedToken,
    ) -> Self {
        let http = |port: u16| format!("http://127.0.0.1:{port}");
        let mut pairs = vec![
            ("API_URL", http(ports.api)),
            ("API_ADMIN_URL", http(ports.api_admin)),
            ("INGEST_ADMIN_URL", http(ports.ingest_admin)),
            ("DATABASE_URL", database_url.to_owned()),
            ("NATS_URL", format!("nats://127.0.0.1:{}", ports.nats)),
            ("TOKEN", demo.token.clone()),
            ("ADMIN_TOKEN", admin.token.clone()),
            ("USER_ID", demo.user_id.clone()),
        ];
        if sign_in == SignIn::On {
            pairs.push((REDIRECT_URI, ports.redirect_uri()));
        }

        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        Self(pairs.into_iter().map(owned).collect())
    }

    /// A value; empty when there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.pairs()
            .find(|(known, _)| *known == name)
            .map_or("", |(_, value)| value)
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Writes the file whole, so that a reader never sees half of it.
    pub(crate) fn write(&self, folder: &Folder) -> Result<()> {
        let unfinished = folder.path().join("env.unfinished");
        let write = || -> std::io::Result<()> {
            let options = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(OWNER_ONLY)
                .clone();
            let mut file = options.open(&unfinished)?;
            for (name, value) in &self.0 {
                writeln!(file, "{name}={}", quote(value))?;
            }
            fs::rename(&unfinished, folder.env_file())
        };

        write().with_context(|| format!("cannot write {}", folder.env_file().display()))
    }

    /// Reads the file; `None` when the stack is not ready.
    pub(crate) fn read(folder: &Folder) -> Result<Option<Self>> {
        let text = match fs::read_to_string(folder.env_file()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {}", folder.env_file().display()))?,
        };
        let pair = |line: &str| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), unquote(value)?))
        };
        let pairs: Option<Vec<_>> = text.lines().map(pair).collect();
        pairs
            .map(|pairs| Some(Self(pairs)))
            .context("the file `env` is damaged: run `make down` and start again")
    }

    /// Takes the file away: what it names is going down.
    pub(crate) fn withdraw(folder: &Folder) -> Result<()> {
        match fs::remove_file(folder.env_file()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("cannot remove `env`")
            }
            _ => Ok(()),
        }
    }
}

/// In single quotes, for a POSIX shell.
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn unquote(text: &str) -> Option<String> {
    Some(
        text.strip_prefix('\'')?
            .strip_suffix('\'')?
            .replace(r"'\''", "'"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_and_we_read_a_quoted_value_as_it_was() {
        for value in ["", "plain", "it's $HOME `x` \\ \"", "''"] {
            assert_eq!(unquote(&quote(value)).as_deref(), Some(value));
            let script = format!("printf %s {}", quote(value));
            let output = std::process::Command::new("/bin/sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
        }
    }
}
