//! Installing what this machine has not: PostgreSQL, nats-server, the local OpenID provider.
//!
//! Owns: what is needed when, and the words when it cannot be installed. Must not know: how the servers are started.

mod nats;
mod openid_provider;
mod postgres;
mod system;
mod wheel;

use crate::say;
use anyhow::{Context, Result};
use tiris_shared::testing::{find_nats_server, find_postgres};

/// What else is needed beside PostgreSQL and nats-server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    Nothing,
    /// The OpenID provider.
    Provider,
    /// The OpenID provider, without which the tests that need it are skipped.
    ProviderIfPossible,
}

/// Installs what is missing; does nothing on a machine that has all.
pub(crate) fn run(extra: Extra) -> Result<()> {
    if find_postgres(None).is_err() {
        postgres::install().context("PostgreSQL is missing and could not be installed")?;
        find_postgres(None)?;
    }
    if find_nats_server().is_err() {
        nats::install().context("nats-server is missing and could not be installed")?;
        find_nats_server()?;
    }
    if extra == Extra::Nothing {
        return Ok(());
    }
    let installed = openid_provider::install().context("the local OpenID provider could not be installed");
    match installed {
        Err(error) if extra == Extra::ProviderIfPossible => {
            say!("WARNING: {error:#}\nThe tests that sign in at it will be skipped.");
            Ok(())
        }
        installed => installed,
    }
}
