//! The trading the bot works on, found or created by the REST API.

use crate::account::Account;
use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use tiris_domain::ledger::{Asset, Pair};
use tiris_domain::money::Money;
use tiris_tools::ApiClient;
use uuid::Uuid;

/// Opening balances of the base and of the quote asset.
const OPENING_STOCK: &str = "10";
const OPENING_CURRENCY: &str = "1";

/// A trading as the API reports it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Trading {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

/// A list as the API reports it.
#[derive(Deserialize)]
struct List<T> {
    #[serde(rename = "tradings", alias = "sub_accounts")]
    items: Vec<T>,
}

/// A trading with the account of each asset.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) trading: Trading,
    pub(crate) stock: Account,
    pub(crate) currency: Account,
}

/// Finds the trading `name`, or creates it with sub-accounts and opening balances.
///
/// With a time at which it `opened`, the accounts start from the opening balances whatever was booked since, because the
/// bot repeats all events from there; otherwise they start from what the API reports now.
pub(crate) async fn find_or_create(
    client: &ApiClient,
    name: &str,
    pair: &Pair,
    opened: Option<DateTime<Utc>>,
) -> Result<Place> {
    let tradings: List<Trading> = client.get("/v1/tradings").await?;
    let mut tradings = tradings.items.into_iter();
    let trading = match tradings.find(|trading| trading.name == name) {
        Some(trading) => trading,
        None => create(client, name, pair, opened).await?,
    };
    ensure!(
        trading.kind == "paper",
        "the trading {name:?} is of type {}, but the demo bot needs type paper; choose another with --trading",
        trading.kind
    );

    let path = format!("/v1/sub-accounts?trading_id={}", trading.id);
    let accounts: List<Account> = client.get(&path).await?;
    let account = |asset: &Asset, opening: &str| -> Result<Account> {
        let mut of_asset = accounts.items.iter().filter(|a| a.symbol == asset.as_str());
        let (Some(account), None) = (of_asset.next(), of_asset.next()) else {
            bail!(
                "the trading {name:?} must have exactly one sub-account for {asset}; choose another with --trading"
            );
        };

        let mut account = account.clone();
        if opened.is_some() {
            account.balance = opening.parse().map_err(anyhow::Error::msg)?;
            account.locked = Money::ZERO;
            // The opening deposit.
            account.sequence = 1;
        }
        Ok(account)
    };

    Ok(Place {
        stock: account(&pair.base, OPENING_STOCK)?,
        currency: account(&pair.quote, OPENING_CURRENCY)?,
        trading,
    })
}

async fn create(
    client: &ApiClient,
    name: &str,
    pair: &Pair,
    opened: Option<DateTime<Utc>>,
) -> Result<Trading> {
    let account = |asset: &Asset, deposit: &str| {
        let asset = asset.as_str();
        json!({ "name": asset, "symbol": asset, "initial_deposit": deposit, "event_time": opened })
    };
    let stock = account(&pair.base, OPENING_STOCK);
    let currency = account(&pair.quote, OPENING_CURRENCY);
    let body = json!({ "name": name, "type": "paper", "sub_accounts": [stock, currency] });

    client
        .post("/v1/tradings", &body)
        .await
        .with_context(|| format!("cannot create the trading {name:?}"))
}
