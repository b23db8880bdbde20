//! Which port each part of the stack listens on.
//!
//! Owns: the usual ports, other ones when those are taken, remembering the choice. Must not know: the parts.

use crate::folder::Folder;
use crate::redirect_page;
use crate::say::say;
use crate::sign_in::SignIn;
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
    /// The usual ones; PostgreSQL's own is left to the system's server.
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
    /// Where logins come back to.
    pub(crate) fn redirect_uri(&self) -> String {
        format!(
            "http://127.0.0.1:{}{}",
            self.redirect_page,
            redirect_page::PATH
        )
    }

    /// The ports of the last time, at first the usual ones; another where somebody else listens now.
    pub(crate) fn choose(folder: &Folder, sign_in: SignIn) -> Result<Self> {
        let file = folder.ports_file();
        // Unreadable means made by another version: begin anew. One may also know fewer parts.
        let last: Self = fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let mut ports = Self {
            postgres: choose("PostgreSQL", last.postgres)?,
            nats: choose("NATS", last.nats)?,
            api: choose("the API", last.api)?,
            api_admin: choose("the API's health and metrics", last.api_admin)?,
            ingest_admin: choose("ingest's health and metrics", last.ingest_admin)?,
            ..last
        };
        if sign_in == SignIn::On {
            ports.provider = choose("the OpenID provider", last.provider)?;
            ports.redirect_page = choose("the page logins come back to", last.redirect_page)?;
        }

        fs::write(&file, serde_json::to_vec(&ports)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(ports)
    }
}

fn choose(what: &str, wanted: u16) -> Result<u16> {
    let port = free_port_or(wanted)?;
    if port != wanted {
        say!("  port {wanted} is taken: {what} listens on {port}");
    }
    Ok(port)
}
