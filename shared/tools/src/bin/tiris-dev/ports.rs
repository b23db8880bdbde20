//! The ports of the stack: the usual ones, or others when those are taken, remembered for the next start.

use crate::folder::Folder;
use crate::redirect_page;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use tiris_testing::free_port_or;

/// One port of 127.0.0.1 for each listener.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Ports {
    pub(crate) postgres: u16,
    pub(crate) nats: u16,
    pub(crate) api: u16,
    pub(crate) api_admin: u16,
    pub(crate) ingest_admin: u16,
    pub(crate) provider: u16,
    pub(crate) redirect_page: u16,
}

impl Default for Ports {
    /// PostgreSQL's usual port is left to a server of the system.
    fn default() -> Self {
        Self {
            postgres: 54329,
            nats: 4222,
            api: 8080,
            api_admin: 9464,
            ingest_admin: 9465,
            provider: 9400,
            redirect_page: 8081,
        }
    }
}

impl Ports {
    /// Returns the address to which a login returns.
    pub(crate) fn redirect_uri(&self) -> String {
        let Self { redirect_page, .. } = self;
        format!("http://127.0.0.1:{redirect_page}{}", redirect_page::PATH)
    }

    /// Chooses the ports of the last start, at first the usual ones, and others for those that are taken.
    pub(crate) fn choose(folder: &Folder, login: bool) -> Result<Self> {
        let file = folder.join("ports.json");
        // A file of another version may be unreadable or lack ports; then the usual ones apply.
        let last = fs::read(&file).unwrap_or_default();
        let mut ports: Self = serde_json::from_slice(&last).unwrap_or_default();

        choose("PostgreSQL", &mut ports.postgres)?;
        choose("NATS", &mut ports.nats)?;
        choose("the API", &mut ports.api)?;
        choose("the API's health and metrics", &mut ports.api_admin)?;
        choose("ingest's health and metrics", &mut ports.ingest_admin)?;
        if login {
            choose("the OpenID provider", &mut ports.provider)?;
            choose("the redirect page of logins", &mut ports.redirect_page)?;
        }

        fs::write(&file, serde_json::to_vec(&ports)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(ports)
    }
}

fn choose(what: &str, port: &mut u16) -> Result<()> {
    let free = free_port_or(*port)?;
    if free != *port {
        say!("  port {port} is taken: {what} listens on {free}");
    }
    *port = free;
    Ok(())
}
