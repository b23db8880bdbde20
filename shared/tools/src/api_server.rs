//! A `tiris-api` of this build, to be asked by a tool.

use crate::api_client::ApiClient;
use crate::service::{READY_LIMIT, ready_url, service};
use crate::token::issue_token;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tiris_testing::{Process, ProcessCommand, free_port};

const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// A running API on ports of its own.
#[derive(Debug)]
pub struct ApiServer {
    /// Its process.
    pub process: Process,
    port: u16,
    admin_port: u16,
    database_url: String,
    key_file: PathBuf,
}

impl ApiServer {
    /// Starts it without limits of rate, because one address asks as fast as it can. Its keys lie in `folder`;
    /// `configure` adds settings. It may not be ready yet.
    ///
    /// # Errors
    /// When the program is missing or cannot be started.
    pub fn launch(
        database_url: &str,
        folder: &Path,
        configure: impl FnOnce(ProcessCommand) -> ProcessCommand,
    ) -> Result<Self> {
        let port = free_port()?;
        let admin_port = free_port()?;
        let key_file = folder.join("jwt.pem");
        let mut command = service("tiris-api", "serve", database_url, admin_port)?
            .env("TIRIS_JWT_KEY_FILE", &key_file)
            .env("TIRIS_ENCRYPTION_FILE", folder.join("encryption.env"))
            .env("TIRIS_API_LISTEN", format!("127.0.0.1:{port}"))
            .env_remove("NATS_URL");
        for class in ["GENERAL", "AUTH", "MONEY", "CREDENTIALS"] {
            command = command.env(format!("TIRIS_RATE_{class}"), "off");
        }

        Ok(Self {
            process: configure(command).spawn()?,
            port,
            admin_port,
            database_url: database_url.to_owned(),
            key_file,
        })
    }

    /// Waits until it can answer.
    ///
    /// # Errors
    /// When it ends or takes too long.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let url = self.ready_url();
        self.process.wait_until_healthy(&url, READY_LIMIT).await
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address, without `/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address that answers 200 once it is ready.
    #[must_use]
    pub fn ready_url(&self) -> String {
        ready_url(self.admin_port)
    }

    /// Returns a token for the user with this address, made when missing.
    ///
    /// # Errors
    /// When `tiris-api token` fails.
    pub async fn token(&self, email: &str) -> Result<String> {
        self.token_with(&["--email", email]).await
    }

    /// Returns a token for the admin with this address, made when missing.
    ///
    /// # Errors
    /// When `tiris-api token` fails.
    pub async fn admin_token(&self, email: &str) -> Result<String> {
        self.token_with(&["--email", email, "--admin"]).await
    }

    async fn token_with(&self, arguments: &[&str]) -> Result<String> {
        let issued = issue_token(&self.database_url, &self.key_file, arguments).await?;
        Ok(issued.token)
    }

    /// Returns a client for the owner of a token.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn client(&self, token: &str) -> Result<ApiClient> {
        ApiClient::new(&self.url(), token, REQUEST_LIMIT)
    }
}
