//! The addresses and tokens of a running stack, as variables that all our commands read.

use crate::folder::{self, Folder};
use crate::ports::Ports;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use tempfile::NamedTempFile;
use tiris_runtime::dev_stack::{self, FILE};
use tiris_tools::{IssuedToken, bot_url};

/// The variable with the address to which a login returns; missing without the provider.
pub(crate) const REDIRECT_URI: &str = "REDIRECT_URI";
/// The variable with the address and login of a bot at the broker.
pub(crate) const BOT_NATS_URL: &str = "BOT_NATS_URL";

/// Variables and their values.
#[derive(Clone, Debug)]
pub(crate) struct Environment(pub(crate) BTreeMap<String, String>);

impl Environment {
    pub(crate) fn new(
        ports: &Ports,
        login: bool,
        database_url: &str,
        demo: IssuedToken,
        admin: IssuedToken,
    ) -> Self {
        let http = |port: u16| format!("http://127.0.0.1:{port}");
        let mut pairs = vec![
            ("API_URL", http(ports.api)),
            ("API_ADMIN_URL", http(ports.api_admin)),
            ("INGEST_ADMIN_URL", http(ports.ingest_admin)),
            ("DATABASE_URL", database_url.to_owned()),
            ("NATS_URL", format!("nats://127.0.0.1:{}", ports.nats)),
            (BOT_NATS_URL, bot_url(ports.nats)),
            ("TOKEN", demo.token),
            ("ADMIN_TOKEN", admin.token),
            ("USER_ID", demo.user_id),
        ];
        if login {
            pairs.push((REDIRECT_URI, ports.redirect_uri()));
        }

        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        Self(pairs.into_iter().map(owned).collect())
    }

    /// Returns a value; empty when it is missing.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Writes the file whole, so that a reader never sees half of it; only its owner may read the tokens.
    pub(crate) fn write(&self, folder: &Folder) -> Result<()> {
        let failure = "cannot write the file `env`";
        let mut file = NamedTempFile::new_in(folder.path()).context(failure)?;
        file.write_all(dev_stack::format(&self.0).as_bytes())
            .context(failure)?;
        file.persist(folder.join(FILE)).context(failure)?;
        Ok(())
    }

    /// Reads the file; `None` when the stack is not ready.
    pub(crate) fn read(folder: &Folder) -> Result<Option<Self>> {
        let text = match fs::read_to_string(folder.join(FILE)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.context("cannot read the file `env`")?,
        };
        dev_stack::parse(&text)
            .map(|pairs| Some(Self(pairs)))
            .context("the file `env` is damaged: run `make down` and start again")
    }

    /// Removes the file, because its addresses are going down.
    pub(crate) fn remove(folder: &Folder) -> Result<()> {
        folder::remove(&folder.join(FILE))
    }
}
