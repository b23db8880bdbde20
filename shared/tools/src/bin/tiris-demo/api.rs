//! The few REST calls the bot makes, and what their answers mean.
//!
//! Owns: addresses, the token, the envelope, errors in words. Must not know: why something is asked for.

use anyhow::Context;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use tiris_domain::money::Money;
use uuid::Uuid;

const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A client of the REST API for one user.
#[derive(Clone, Debug)]
pub(super) struct Api {
    http: reqwest::Client,
    base: String,
    token: SecretString,
}

/// A trading as the API answers it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Trading {
    pub(super) id: Uuid,
    pub(super) user_id: Uuid,
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// A sub-account as the API answers it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Account {
    pub(super) id: Uuid,
    pub(super) symbol: String,
    #[serde(deserialize_with = "money")]
    pub(super) balance: Money,
    #[serde(deserialize_with = "money")]
    pub(super) locked: Money,
    pub(super) sequence: i64,
}

fn money<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
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

#[derive(Deserialize)]
struct Tradings {
    tradings: Vec<Trading>,
}

#[derive(Deserialize)]
struct Accounts {
    sub_accounts: Vec<Account>,
}

impl Api {
    /// A client of the API at `url`, without `/v1`.
    pub(super) fn new(url: &str, token: SecretString) -> anyhow::Result<Self> {
        tiris_runtime::tls::choose_provider();
        // The API is on this machine or in its network: a proxy of the environment is not asked.
        let http = reqwest::Client::builder()
            .timeout(CALL_TIMEOUT)
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            base: format!("{}/v1", url.trim_end_matches('/')),
            token,
        })
    }

    /// The caller's tradings.
    pub(super) async fn tradings(&self) -> anyhow::Result<Vec<Trading>> {
        Ok(self
            .call::<Tradings>(self.http.get(self.url("/tradings")))
            .await?
            .tradings)
    }

    /// Makes a paper trading with one sub-account for each `(symbol, opening balance)`, opened at a moment or now.
    pub(super) async fn create_trading(
        &self,
        name: &str,
        accounts: &[(&str, &str)],
        opened: Option<DateTime<Utc>>,
    ) -> anyhow::Result<Trading> {
        let account = |(symbol, deposit): &(&str, &str)| json!({ "name": symbol, "symbol": symbol, "initial_deposit": deposit, "event_time": opened });
        let accounts: Vec<Value> = accounts.iter().map(account).collect();
        let body = json!({ "name": name, "type": "paper", "sub_accounts": accounts });
        self.call(self.http.post(self.url("/tradings")).json(&body))
            .await
    }

    /// The sub-accounts of a trading.
    pub(super) async fn accounts(&self, trading: Uuid) -> anyhow::Result<Vec<Account>> {
        let request = self
            .http
            .get(self.url("/sub-accounts"))
            .query(&[("trading_id", trading)]);
        Ok(self.call::<Accounts>(request).await?.sub_accounts)
    }

    /// One sub-account.
    pub(super) async fn account(&self, id: Uuid) -> anyhow::Result<Account> {
        self.call(self.http.get(self.url(&format!("/sub-accounts/{id}"))))
            .await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> anyhow::Result<T> {
        let answer = request.bearer_auth(self.token.expose_secret()).send().await;
        let answer = answer
            .with_context(|| format!("cannot reach the API at {}; is tiris-api up?", self.base))?;
        let (status, path) = (answer.status(), answer.url().path().to_owned());
        let bytes = answer
            .bytes()
            .await
            .with_context(|| format!("the answer to {path} broke off"))?;
        let envelope: Envelope = serde_json::from_slice(&bytes).with_context(|| {
            format!(
                "{} answered {status} to {path}, but not as the Tiris API does",
                self.base
            )
        })?;
        if let Some(Problem { code, message }) = envelope.error {
            anyhow::bail!(
                "the API refused {path}: {message} ({status}, {code}){}",
                advice(status)
            );
        }
        let data = envelope
            .data
            .with_context(|| format!("the answer to {path} has no data"))?;
        serde_json::from_value(data)
            .with_context(|| format!("the answer to {path} has another shape than expected"))
    }
}

fn advice(status: reqwest::StatusCode) -> &'static str {
    if status == reqwest::StatusCode::UNAUTHORIZED {
        "; TOKEN must be a valid token, `tiris-api token --email ...` makes one"
    } else {
        ""
    }
}
