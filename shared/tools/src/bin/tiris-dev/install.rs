//! Installing what this machine has not: PostgreSQL, nats-server, the local OpenID provider, tools of checks.
//!
//! Owns: what is needed when, and the words when it cannot be installed. Must not know: how the servers are started.

mod docker_tools;
mod document_tools;
mod nats;
mod node;
mod openid_provider;
mod postgres;
mod python;
mod schemathesis;
mod system;
mod wheel;
mod wrk;

use crate::say::say;
use crate::sign_in::SignIn;
use anyhow::{Context, Result};
use tiris_testing::{find_nats_server, find_postgres};

/// What else is needed beside PostgreSQL and nats-server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    Nothing,
    /// The OpenID provider.
    Provider,
    /// The OpenID provider, without which the tests that need it are skipped.
    ProviderIfPossible,
    /// Schemathesis.
    Fuzzer,
    /// The generator of requests.
    Bench,
}

impl Extra {
    pub(crate) fn of(sign_in: SignIn) -> Self {
        match sign_in {
            SignIn::Off => Self::Nothing,
            SignIn::On => Self::Provider,
        }
    }
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

    match extra {
        Extra::Nothing => Ok(()),
        Extra::Provider => provider(),
        Extra::ProviderIfPossible => {
            if let Err(error) = provider() {
                say!("WARNING: {error:#}\nThe tests that sign in at it will be skipped.");
            }
            Ok(())
        }
        Extra::Fuzzer => schemathesis::install().context("Schemathesis could not be installed"),
        Extra::Bench => wrk::install().context("wrk is missing and could not be installed"),
    }
}

fn provider() -> Result<()> {
    openid_provider::install().context("the local OpenID provider could not be installed")
}

/// Installs what the OpenAPI document is checked with, which needs no servers.
pub(crate) fn document_tools() -> Result<()> {
    document_tools::install().context("the tools for the OpenAPI document could not be installed")
}

/// Installs what images, compose, dashboards and alerts are checked with.
pub(crate) fn docker_tools() -> Result<()> {
    docker_tools::install().context("the tools for the folder docker could not be installed")
}
