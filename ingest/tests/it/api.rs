//! A running `tiris-api` and a token for it.

use crate::world::WAIT;
use anyhow::{Result, ensure};
use std::path::Path;
use tempfile::TempDir;
use tiris_testing::{Process, Role, binary, free_port, scratch_dir, url_as};

pub(crate) struct Api {
    pub(crate) process: Process,
    pub(crate) url: String,
    pub(crate) admin: String,
    /// Token of the user with the given email address.
    pub(crate) token: String,
    /// Holds the keys and files of the test.
    pub(crate) folder: TempDir,
}

impl Api {
    /// Starts the API with additional `settings`, and waits until it is ready.
    pub(crate) async fn start(
        database_url: &str,
        nats_url: &str,
        email: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let database_url = url_as(database_url, Role::Api)?;
        let folder = scratch_dir("keys")?;
        let key = folder.path().join("jwt.pem");
        let listen = format!("127.0.0.1:{}", free_port()?);
        let admin_listen = format!("127.0.0.1:{}", free_port()?);

        let command = Process::command(binary("tiris-api")?)
            .arg("serve")
            .env("DATABASE_URL", &database_url)
            .env("NATS_URL", nats_url)
            .env(
                "TIRIS_ENCRYPTION_FILE",
                folder.path().join("encryption.env"),
            )
            .env("TIRIS_JWT_KEY_FILE", &key)
            .env("TIRIS_API_LISTEN", &listen)
            .env("TIRIS_ADMIN_LISTEN", &admin_listen);
        let mut process = settings
            .iter()
            .fold(command, |command, (name, value)| command.env(name, value))
            .spawn()?;
        let admin = format!("http://{admin_listen}");
        let ready = format!("{admin}/health/ready");
        process.wait_until_healthy(&ready, WAIT).await?;

        let token = token(&database_url, email, &key).await?;
        Ok(Self {
            process,
            url: format!("http://{listen}"),
            admin,
            token,
            folder,
        })
    }
}

/// Issues a token for the user with the email address.
async fn token(database_url: &str, email: &str, key: &Path) -> Result<String> {
    let printed = tokio::process::Command::new(binary("tiris-api")?)
        .args(["token", "--email", email])
        .env("DATABASE_URL", database_url)
        .env("TIRIS_JWT_KEY_FILE", key)
        .output()
        .await?;
    ensure!(printed.status.success(), "{printed:?}");
    Ok(String::from_utf8(printed.stdout)?.trim().to_owned())
}
