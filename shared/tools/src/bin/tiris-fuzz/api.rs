//! The API that is asked: a process of this build.
//!
//! Owns: its settings, tokens, the list of its operations. Must not know: what is asked.

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tiris_testing::{Process, binary, free_port};

const READY_LIMIT: Duration = Duration::from_secs(60);
/// The one that the example of a login names.
const REDIRECT_URI: &str = "https://tiris.ai/auth/callback";

/// A running API.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) url: String,
    _process: Process,
    http: reqwest::Client,
    database_url: String,
    key_file: PathBuf,
}

impl Api {
    /// Starts it without limits, because thousands of requests are meant to come; ready on return.
    pub(crate) async fn start(database_url: &str, folder: &Path) -> Result<Self> {
        let (port, admin_port) = (free_port()?, free_port()?);
        let key_file = folder.join("jwt.pem");
        let mut command = Process::command(binary("tiris-api")?)
            .arg("serve")
            .env("DATABASE_URL", database_url)
            .env("TIRIS_ENV", "dev")
            .env("TIRIS_JWT_KEY_FILE", &key_file)
            .env("TIRIS_ENCRYPTION_FILE", folder.join("encryption.env"))
            .env("TIRIS_API_LISTEN", format!("127.0.0.1:{port}"))
            .env("TIRIS_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
            .env("TIRIS_REDIRECT_URIS", REDIRECT_URI)
            .env("TIRIS_GOOGLE_CLIENT_ID", "the-client")
            .env("TIRIS_GOOGLE_CLIENT_SECRET", "the-secret")
            // Nobody outside is asked.
            .env("TIRIS_GOOGLE_TOKEN_URL", "http://127.0.0.1:9/token")
            .env("TIRIS_GOOGLE_JWKS_URL", "http://127.0.0.1:9/jwks");
        for class in ["GENERAL", "AUTH", "MONEY", "CREDENTIALS"] {
            command = command.env(format!("TIRIS_RATE_{class}"), "off");
        }
        for exchange in ["BINANCE", "KRAKEN", "GATE"] {
            command = command.env(format!("TIRIS_{exchange}_URL"), "http://127.0.0.1:9");
        }
        let mut process = command
            .log(folder.join("api.log"))
            .show_log(false)
            .spawn()?;
        let ready = format!("http://127.0.0.1:{admin_port}/health/ready");
        process.wait_until_healthy(&ready, READY_LIMIT).await?;
        let url = format!("http://127.0.0.1:{port}");
        let http = reqwest::Client::builder().timeout(READY_LIMIT).build()?;
        Ok(Self {
            url,
            _process: process,
            http,
            database_url: database_url.to_owned(),
            key_file,
        })
    }

    /// A token for the user with this address, who is made.
    pub(crate) async fn token(&self, email: &str, admin: bool) -> Result<String> {
        let output = tokio::process::Command::new(binary("tiris-api")?)
            .args(["token", "--json", "--email", email])
            .args(admin.then_some("--admin"))
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
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<Value> {
        let request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(token)
            .json(body);
        let answer: Value = request.send().await?.json().await?;
        ensure!(answer["success"] == true, "{path}: {answer}");
        Ok(answer["data"].clone())
    }

    /// All documented operations as method and path.
    pub(crate) async fn operations(&self) -> Result<Vec<String>> {
        let document: Value = self
            .http
            .get(format!("{}/openapi.json", self.url))
            .send()
            .await?
            .json()
            .await?;
        let paths = document["paths"].as_object().context("no paths")?;
        let named = paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flat_map(|item| item.keys());
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        });
        Ok(named.collect())
    }
}
