//! A REST client: a user with an account that was created over REST and has only deposits over REST.

use crate::checks::{DEPOSIT, RestAccount, SYMBOL};
use crate::load::users::User;
use crate::system::System;
use anyhow::{Result, ensure};
use rand::RngExt;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tiris_tools::ApiClient;
use uuid::Uuid;

/// Longer than the limit of the API: a request that reaches it is a finding.
const CLIENT_LIMIT: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Account,
    Accounts,
    Transactions,
    Deposit,
}

impl Request {
    /// Draws a request; most are reads, as in a portal.
    pub(crate) fn draw(rng: &mut impl RngExt) -> Self {
        match rng.random_range(0..10) {
            0..5 => Self::Account,
            5..7 => Self::Accounts,
            7..8 => Self::Transactions,
            _ => Self::Deposit,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) took: Duration,
    pub(crate) body: String,
}

/// A signed-in user. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    addresses: Arc<Addresses>,
    token: String,
    account: RestAccount,
    /// The number of successful deposits.
    deposits: Arc<AtomicUsize>,
}

/// The APIs of a client, which take turns.
#[derive(Debug)]
struct Addresses {
    urls: RwLock<Vec<String>>,
    turn: AtomicUsize,
}

impl Addresses {
    fn next(&self) -> String {
        let urls = self.urls.read().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        urls[turn % urls.len()].clone()
    }
}

impl Client {
    /// Signs in and creates the account.
    pub(crate) async fn open(system: &System, user: &User) -> Result<Self> {
        let api = system.api.lock().await;
        let url = api.url();
        let token = api.token(&user.email()).await?;
        drop(api);

        let new = json!({"name": "over REST", "type": "paper", "sub_accounts": [{"name": "purse", "symbol": SYMBOL}]});
        let client = ApiClient::new(&url, token.as_str(), CLIENT_LIMIT)?;
        let created: Value = client.post("/v1/tradings", &new).await?;
        let trading: Uuid = serde_json::from_value(created["id"].clone())?;
        let id: Uuid = sqlx::query_scalar("SELECT id FROM sub_accounts WHERE trading_id = $1")
            .bind(trading)
            .fetch_one(&system.pool)
            .await?;

        // A connection for each request, because the proxy selects the serving process when a client connects.
        let http = reqwest::Client::builder()
            .timeout(CLIENT_LIMIT)
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()?;
        let account = RestAccount {
            user: user.id,
            trading,
            id,
            deposits: 0,
        };
        Ok(Self {
            http,
            addresses: Arc::new(Addresses {
                urls: RwLock::new(vec![url]),
                turn: AtomicUsize::new(0),
            }),
            token,
            account,
            deposits: Arc::default(),
        })
    }

    /// Sends a request and returns the response of any status; none at all is an error.
    pub(crate) async fn send(&self, request: Request) -> Result<Response> {
        let http = &self.http;
        let url = self.addresses.next();
        let account = self.account.id;
        let builder = match request {
            Request::Account => http.get(format!("{url}/v1/sub-accounts/{account}")),
            Request::Accounts => http.get(format!("{url}/v1/sub-accounts")),
            Request::Transactions => http.get(format!("{url}/v1/transactions?limit=10")),
            Request::Deposit => http
                .post(format!("{url}/v1/sub-accounts/{account}/deposit"))
                .json(&json!({"amount": DEPOSIT})),
        };

        let begun = Instant::now();
        let response = builder.bearer_auth(&self.token).send().await?;
        let status = response.status();
        let body = response.text().await?;
        if request == Request::Deposit && status.is_success() {
            self.deposits.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Response {
            status: status.as_u16(),
            took: begun.elapsed(),
            body,
        })
    }

    /// Sends requests to these APIs in turn from now on; at least one.
    pub(super) fn send_to(&self, apis: &[String]) {
        let urls = self.addresses.urls.write();
        *urls.unwrap_or_else(PoisonError::into_inner) = apis.to_vec();
    }

    /// Sends a request that must succeed.
    pub(crate) async fn expect_success(&self, request: Request) -> Result<()> {
        let Response { status, body, .. } = self.send(request).await?;
        ensure!(status < 300, "{request:?} got status {status}: {body}");
        Ok(())
    }

    /// Sends one deposit to several APIs, as a client does that got no answer: only the first may book it.
    pub(super) async fn deposit_once(&self, apis: &[String]) -> Result<()> {
        let key = Uuid::new_v4().to_string();
        let path = format!("/v1/sub-accounts/{}/deposit", self.account.id);
        for api in apis {
            let deposit = self.http.post(format!("{api}{path}"));
            let response = deposit
                .header("Idempotency-Key", &key)
                .json(&json!({"amount": DEPOSIT}))
                .bearer_auth(&self.token)
                .send()
                .await?;
            let status = response.status();
            ensure!(
                status.is_success(),
                "the deposit got {status} at {api}: {}",
                response.text().await?
            );
        }
        self.deposits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the account with its deposits so far.
    pub(crate) fn account(&self) -> RestAccount {
        RestAccount {
            deposits: self.deposits.load(Ordering::Relaxed),
            ..self.account
        }
    }
}
