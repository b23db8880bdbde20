//! A client of the REST API for one user.

use anyhow::{Context, Result, bail};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use tiris_testing::local_http_client;

/// A client of the REST API for one user.
#[derive(Clone, Debug)]
pub struct ApiClient {
    http: reqwest::Client,
    url: String,
    token: SecretString,
}

#[derive(Deserialize)]
struct Envelope {
    data: Option<Value>,
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    message: String,
}

impl ApiClient {
    /// Returns a client of the API at `url`, without `/v1`.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub fn new(url: &str, token: impl Into<SecretString>, timeout: Duration) -> Result<Self> {
        Ok(Self {
            http: local_http_client(timeout)?,
            url: url.trim_end_matches('/').to_owned(),
            token: token.into(),
        })
    }

    /// Returns the data of a successful response.
    ///
    /// # Errors
    /// When there is no response, it is an error, or its data has another shape.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(self.http.get(format!("{}{path}", self.url)))
            .await
    }

    /// Sends a body and returns the data of a successful response.
    ///
    /// # Errors
    /// When there is no response, it is an error, or its data has another shape.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.call(self.http.post(format!("{}{path}", self.url)).json(body))
            .await
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let response = request
            .bearer_auth(self.token.expose_secret())
            .send()
            .await
            .with_context(|| format!("cannot reach the API at {}; is tiris-api up?", self.url))?;
        let path = response.url().path().to_owned();
        let data = data(response, &path).await?;

        serde_json::from_value(data)
            .with_context(|| format!("the response to {path} has an unexpected shape"))
    }
}

async fn data(response: Response, path: &str) -> Result<Value> {
    let status = response.status();
    let bytes = response
        .bytes()
        .await
        .with_context(|| format!("the response to {path} broke off"))?;
    let envelope: Envelope = serde_json::from_slice(&bytes).with_context(|| {
        format!("the response to {path} ({status}) is not one of the Tiris API")
    })?;

    if let Some(Problem { code, message }) = envelope.error {
        let advice = match status {
            StatusCode::UNAUTHORIZED => {
                "; TOKEN must be a valid token: create one with `tiris-api token --email ...`"
            }
            _ => "",
        };
        bail!("the API refused {path}: {message} ({status}, {code}){advice}");
    }
    envelope
        .data
        .with_context(|| format!("the response to {path} has no data"))
}
