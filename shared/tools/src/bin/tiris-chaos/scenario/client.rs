//! A client of the API: one user with an account made over REST, to which money only comes over REST.
//!
//! Owns: its requests and what it was told. Must not know: what is done to the API.

use crate::checks::Extra;
use crate::load::people::User;
use crate::system::System;
use anyhow::Result;
use rand::RngExt;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tiris_tools::ApiClient;
use uuid::Uuid;

/// Longer than the API may take: a request that runs into it is a finding.
const CLIENT_LIMIT: Duration = Duration::from_secs(20);
const DEPOSIT: &str = "0.000000000001";

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Account,
    Accounts,
    Transactions,
    Deposit,
}

impl Ask {
    /// Reads mostly, as a portal does.
    pub(crate) fn draw(rng: &mut impl RngExt) -> Self {
        match rng.random_range(0..10) {
            0..5 => Self::Account,
            5..7 => Self::Accounts,
            7..8 => Self::Transactions,
            _ => Self::Deposit,
        }
    }
}

/// An answer that came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) took: Duration,
    pub(crate) body: String,
}

#[derive(Deserialize)]
struct Made {
    id: Uuid,
}

/// A signed-in user. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    url: String,
    token: String,
    user: Uuid,
    trading: Uuid,
    account: Uuid,
    /// Deposits whose answer was a success.
    booked: AtomicUsize,
}

impl Client {
    /// Signs in and makes the account.
    pub(crate) async fn open(system: &System, user: &User) -> Result<Self> {
        let api = system.api.lock().await;
        let url = api.url();
        let token = api.token(&user.email()).await?;
        drop(api);

        let new = json!({"name": "over REST", "type": "paper", "sub_accounts": [{"name": "purse", "symbol": "EUR"}]});
        let made: Made = ApiClient::new(&url, token.as_str(), CLIENT_LIMIT)?
            .post("/v1/tradings", &new)
            .await?;
        let account: Uuid = sqlx::query_scalar("SELECT id FROM sub_accounts WHERE trading_id = $1")
            .bind(made.id)
            .fetch_one(&system.pool)
            .await?;

        // A connection for each request: whichever process serves is chosen by the proxy at connecting.
        let http = reqwest::Client::builder()
            .timeout(CLIENT_LIMIT)
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self(Arc::new(Inner {
            http,
            url,
            token,
            user: user.id,
            trading: made.id,
            account,
            booked: AtomicUsize::new(0),
        })))
    }

    /// Asks once. An answer of any status is an answer; none at all is an error.
    pub(crate) async fn ask(&self, what: Ask) -> Result<Answer> {
        let Inner {
            http, url, account, ..
        } = &*self.0;
        let request = match what {
            Ask::Account => http.get(format!("{url}/v1/sub-accounts/{account}")),
            Ask::Accounts => http.get(format!("{url}/v1/sub-accounts")),
            Ask::Transactions => http.get(format!("{url}/v1/transactions?limit=10")),
            Ask::Deposit => http
                .post(format!("{url}/v1/sub-accounts/{account}/deposit"))
                .json(&json!({"amount": DEPOSIT})),
        };

        let begun = Instant::now();
        let answer = request.bearer_auth(&self.0.token).send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        if what == Ask::Deposit && status.is_success() {
            self.0.booked.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Answer {
            status: status.as_u16(),
            took: begun.elapsed(),
            body,
        })
    }

    /// What the auditor must know of.
    pub(crate) fn extra(&self) -> Extra {
        Extra {
            user: self.0.user,
            trading: self.0.trading,
            account: self.0.account,
            symbol: "EUR",
            deposits: vec![DEPOSIT.to_owned(); self.0.booked.load(Ordering::Relaxed)],
        }
    }
}
