//! A client of the API: one user with an account made over REST, to which money only comes over REST.
//!
//! Owns: its requests and what it was told. Must not know: what is done to the API.

use crate::checks::Extra;
use crate::load::people::User;
use crate::system::System;
use anyhow::{Context, Result, ensure};
use rand::RngExt;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
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
    /// Deposits that were told to be booked.
    booked: Mutex<usize>,
}

impl Client {
    /// Signs in and makes the account.
    pub(crate) async fn open(system: &System, user: &User) -> Result<Self> {
        let api = system.api.lock().await;
        let (url, token) = (api.url(), api.token(&user.email()).await?);
        drop(api);
        // A connection for each request: whichever process serves is chosen by the proxy at connecting.
        let http = reqwest::Client::builder()
            .timeout(CLIENT_LIMIT)
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()?;
        let new = json!({"name": "over REST", "type": "paper", "sub_accounts": [{"name": "purse", "symbol": "EUR"}]});
        let made = post(
            http.post(format!("{url}/v1/tradings")).bearer_auth(&token),
            &new,
        )
        .await?;
        let trading: Uuid = made["data"]["id"].as_str().context("an id")?.parse()?;
        let account: Uuid = sqlx::query_scalar("SELECT id FROM sub_accounts WHERE trading_id = $1")
            .bind(trading)
            .fetch_one(&system.pool)
            .await?;
        let (user, booked) = (user.id, Mutex::default());
        Ok(Self(Arc::new(Inner {
            http,
            url,
            token,
            user,
            trading,
            account,
            booked,
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
            Ask::Deposit => with(
                http.post(format!("{url}/v1/sub-accounts/{account}/deposit")),
                &json!({"amount": DEPOSIT}),
            ),
        };
        let begun = Instant::now();
        let answer = request.bearer_auth(&self.0.token).send().await?;
        let status = answer.status().as_u16();
        let body = answer.text().await?;
        if what == Ask::Deposit && (200..300).contains(&status) {
            *self.0.booked.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
        Ok(Answer {
            status,
            took: begun.elapsed(),
            body,
        })
    }

    /// What the auditor must be told.
    pub(crate) fn extra(&self) -> Extra {
        let Inner {
            user,
            trading,
            account,
            booked,
            ..
        } = &*self.0;
        let booked = *booked.lock().unwrap_or_else(PoisonError::into_inner);
        let deposits = vec![DEPOSIT.to_owned(); booked];
        Extra {
            user: *user,
            trading: *trading,
            account: *account,
            symbol: "EUR",
            deposits,
        }
    }
}

fn with(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request
        .header("Content-Type", "application/json")
        .body(body.to_string())
}

async fn post(request: RequestBuilder, body: &Value) -> Result<Value> {
    let answer = with(request, body).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}
