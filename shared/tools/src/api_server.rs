//! A `tiris-api` for a tool.

use crate::api_client::ApiClient;
use crate::build::Build;
use crate::service::Service;
use crate::token::issue_token_of;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tiris_testing::{ProcessCommand, free_port};

const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// A running API on free ports.
#[derive(Debug)]
pub struct ApiServer {
    /// The process and its admin listener.
    pub service: Service,
    build: Build,
    port: u16,
    database_url: String,
    key_file: PathBuf,
}

impl ApiServer {
    /// Starts an API of this build without waiting until it is ready. It has no rate limits, because all requests come from
    /// one address. Its keys lie in `folder`; `configure` adds settings.
    ///
    /// # Errors
    /// When the program is missing or cannot be started.
    pub fn launch(
        database_url: &str,
        folder: &Path,
        configure: impl FnOnce(ProcessCommand) -> ProcessCommand,
    ) -> Result<Self> {
        Self::launch_of(&Build::This, database_url, folder, configure)
    }

    /// Like [`Self::launch`], of any build.
    ///
    /// # Errors
    /// When the program is missing or cannot be started.
    pub fn launch_of(
        build: &Build,
        database_url: &str,
        folder: &Path,
        configure: impl FnOnce(ProcessCommand) -> ProcessCommand,
    ) -> Result<Self> {
        let port = free_port()?;
        let key_file = folder.join("jwt.pem");
        let program = "tiris-api";
        let service = Service::launch_of(build, program, "serve", database_url, |mut command| {
            command = command
                .env("TIRIS_JWT_KEY_FILE", &key_file)
                .env("TIRIS_ENCRYPTION_FILE", folder.join("encryption.env"))
                .env("TIRIS_API_LISTEN", format!("127.0.0.1:{port}"))
                .env_remove("NATS_URL");
            for class in ["GENERAL", "AUTH", "MONEY", "CREDENTIALS"] {
                command = command.env(format!("TIRIS_RATE_{class}"), "off");
            }
            configure(command)
        })?;

        Ok(Self {
            service,
            build: build.clone(),
            port,
            database_url: database_url.to_owned(),
            key_file,
        })
    }

    /// Waits until the API is ready.
    ///
    /// # Errors
    /// When the process ends or takes too long.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        self.service.wait_until_ready().await
    }

    /// Returns the port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL without `/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns a token of the user with this address, creating a missing user.
    ///
    /// # Errors
    /// When `tiris-api token` fails.
    pub async fn token(&self, email: &str) -> Result<String> {
        self.token_with(&["--email", email]).await
    }

    /// Returns a token of the admin with this address, creating a missing user.
    ///
    /// # Errors
    /// When `tiris-api token` fails.
    pub async fn admin_token(&self, email: &str) -> Result<String> {
        self.token_with(&["--email", email, "--admin"]).await
    }

    async fn token_with(&self, arguments: &[&str]) -> Result<String> {
        let issued =
            issue_token_of(&self.build, &self.database_url, &self.key_file, arguments).await?;
        Ok(issued.token)
    }

    /// Returns a client that sends this token.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub fn client(&self, token: &str) -> Result<ApiClient> {
        ApiClient::new(&self.url(), token, REQUEST_LIMIT)
    }
}
