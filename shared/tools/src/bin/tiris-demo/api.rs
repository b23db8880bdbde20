//! The few REST calls the bot makes.

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use tiris_domain::money::Money;
use tiris_tools::ApiClient;
use uuid::Uuid;

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
struct Tradings {
    tradings: Vec<Trading>,
}

#[derive(Deserialize)]
struct Accounts {
    sub_accounts: Vec<Account>,
}

/// Returns the caller's tradings.
pub(super) async fn tradings(client: &ApiClient) -> Result<Vec<Trading>> {
    Ok(client.get::<Tradings>("/v1/tradings").await?.tradings)
}

/// Makes a paper trading with one sub-account for each symbol and opening deposit, opened at a moment or now.
pub(super) async fn create_trading(
    client: &ApiClient,
    name: &str,
    accounts: &[(&str, &str)],
    opened: Option<DateTime<Utc>>,
) -> Result<Trading> {
    let account = |(symbol, deposit): &(&str, &str)| json!({ "name": symbol, "symbol": symbol, "initial_deposit": deposit, "event_time": opened });
    let accounts: Vec<Value> = accounts.iter().map(account).collect();
    let body = json!({ "name": name, "type": "paper", "sub_accounts": accounts });
    client.post("/v1/tradings", &body).await
}

/// Returns the sub-accounts of a trading.
pub(super) async fn accounts(client: &ApiClient, trading: Uuid) -> Result<Vec<Account>> {
    let path = format!("/v1/sub-accounts?trading_id={trading}");
    Ok(client.get::<Accounts>(&path).await?.sub_accounts)
}

/// Returns one sub-account.
pub(super) async fn account(client: &ApiClient, id: Uuid) -> Result<Account> {
    client.get(&format!("/v1/sub-accounts/{id}")).await
}
