//! The API process that is measured.
//!
//! Owns: its start, tokens, single requests. Must not know: load.

use crate::stage::{Database, Stage};
use anyhow::{Context, Result, bail, ensure};
use reqwest::RequestBuilder;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tiris_testing::{Process, binary, free_port};

const READY_LIMIT: Duration = Duration::from_secs(60);
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// A running API.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) process: Process,
    pub(crate) admin_port: u16,
    http: reqwest::Client,
    database_url: String,
    key_file: PathBuf,
}

impl Api {
    /// Starts it without limits of rate, because one address asks as fast as it can; ready on return.
    pub(crate) async fn start(stage: &Stage, database: &Database, log: &str) -> Result<Self> {
        let mut api = Self::launch(stage, &database.url, log)?;
        api.ready().await?;
        Ok(api)
    }

    /// Starts it, and leaves the waiting to others.
    pub(crate) fn launch(stage: &Stage, database_url: &str, log: &str) -> Result<Self> {
        let (port, admin_port) = (free_port()?, free_port()?);
        let key_file = stage.files().join("jwt.pem");
        let mut command = Process::command(binary("tiris-api")?)
            .arg("serve")
            .env("DATABASE_URL", database_url)
            .env("TIRIS_ENV", "dev")
            .env("TIRIS_LOG", log)
            .env("TIRIS_METRICS", if log == "off" { "off" } else { "on" })
            .env("TIRIS_JWT_KEY_FILE", &key_file)
            .env(
                "TIRIS_ENCRYPTION_FILE",
                stage.files().join("encryption.env"),
            )
            .env("TIRIS_API_LISTEN", format!("127.0.0.1:{port}"))
            .env("TIRIS_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
            .env_remove("NATS_URL");
        for class in ["GENERAL", "AUTH", "MONEY", "CREDENTIALS"] {
            command = command.env(format!("TIRIS_RATE_{class}"), "off");
        }
        let process = command.log(stage.log("api")).show_log(false).spawn()?;
        let http = reqwest::Client::builder()
            .timeout(REQUEST_LIMIT)
            .no_proxy()
            .build()?;
        let url = format!("http://127.0.0.1:{port}");
        Ok(Self {
            url,
            process,
            admin_port,
            http,
            database_url: database_url.to_owned(),
            key_file,
        })
    }

    pub(crate) fn health(&self) -> String {
        format!("http://127.0.0.1:{}/health/ready", self.admin_port)
    }

    pub(crate) async fn ready(&mut self) -> Result<()> {
        let url = self.health();
        self.process.wait_until_healthy(&url, READY_LIMIT).await
    }

    /// A token for the user with this address.
    pub(crate) async fn token(&self, email: &str) -> Result<String> {
        let output = tokio::process::Command::new(binary("tiris-api")?)
            .args(["token", "--json", "--email", email])
            .env("DATABASE_URL", &self.database_url)
            .env("TIRIS_ENV", "dev")
            .env("TIRIS_JWT_KEY_FILE", &self.key_file)
            .output()
            .await?;
        if !output.status.success() {
            bail!(
                "no token: tiris-api says: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let printed: Value =
            serde_json::from_slice(&output.stdout).context("no token was printed")?;
        Ok(printed["token"]
            .as_str()
            .context("no token was printed")?
            .to_owned())
    }

    /// The data of a successful answer.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Result<Value> {
        data(
            path,
            self.http
                .get(format!("{}{path}", self.url))
                .bearer_auth(token),
        )
        .await
    }

    /// The same, of what is to be done.
    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Result<Value> {
        data(
            path,
            self.http
                .post(format!("{}{path}", self.url))
                .bearer_auth(token)
                .json(body),
        )
        .await
    }
}

async fn data(path: &str, request: RequestBuilder) -> Result<Value> {
    let answer: Value = request.send().await?.json().await?;
    ensure!(answer["success"] == true, "{path}: {answer}");
    Ok(answer["data"].clone())
}
