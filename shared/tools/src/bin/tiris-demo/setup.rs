//! Finds or makes the trading the bot works on.
//!
//! Owns: names and opening balances. Must not know: orders, events.

use super::api::{self, Account, Trading};
use super::book::Purse;
use anyhow::Context;
use chrono::{DateTime, Utc};
use std::path::Path;
use tiris_domain::ledger::Asset;
use tiris_domain::money::Money;
use tiris_domain::value::Invalid;
use tiris_tools::ApiClient;
use uuid::Uuid;

const PAPER: &str = "paper";
/// The trading used without a candle file.
const NAME_DEFAULT: &str = "Demo";
/// What a trading of the bot opens with, of the base and of the quote asset.
const OPENING_STOCK: &str = "10";
const OPENING_CURRENCY: &str = "1";
/// The opening balance is booked as one deposit.
const OPENING_POSTINGS: i64 = 1;

/// Base and quote asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) base: Asset,
    pub(super) quote: Asset,
}

impl std::str::FromStr for Symbol {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (base, quote) = text
            .split_once('/')
            .ok_or_else(|| Invalid::new("must look like ETH/BTC"))?;
        let symbol = Self {
            base: base.parse()?,
            quote: quote.parse()?,
        };
        if symbol.base == symbol.quote {
            Err(Invalid::new("must name two different assets"))
        } else {
            Ok(symbol)
        }
    }
}

/// Where the bot trades.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) user: Uuid,
    pub(super) trading: Uuid,
    pub(super) name: String,
    pub(super) stock: Purse,
    pub(super) currency: Purse,
}

/// The name of the trading for a candle file: whatever changes the events is part of it.
pub(super) fn name_for(candles: Option<&Path>, symbol: &Symbol, fast: u16, slow: u16) -> String {
    let Some(stem) = candles.and_then(Path::file_stem) else {
        return NAME_DEFAULT.to_owned();
    };
    let Symbol { base, quote } = symbol;
    format!(
        "{NAME_DEFAULT} {} {base}-{quote} {fast}-{slow}",
        stem.to_string_lossy()
    )
}

/// Finds the trading by `name`, else makes it with sub-accounts and opening balances.
///
/// With a moment at which it `opened` the purses start from the opening balances whatever happened since, because the bot
/// is about to say all of it again; otherwise they start from what the API answers now.
pub(super) async fn find_or_make(
    client: &ApiClient,
    name: &str,
    symbol: &Symbol,
    opened: Option<DateTime<Utc>>,
) -> anyhow::Result<Place> {
    let trading = find_or_make_trading(client, name, symbol, opened).await?;
    anyhow::ensure!(
        trading.kind == PAPER,
        "the trading {name:?} is of type {}; the demo trades on paper only, see --trading",
        trading.kind
    );

    let accounts = api::accounts(client, trading.id).await?;
    let purse = |asset: &Asset, opening: &str| -> anyhow::Result<Purse> {
        let account = only_account(&accounts, asset).with_context(|| {
            format!("the trading {name:?} cannot be used; choose another with --trading")
        })?;
        if opened.is_some() {
            opening_purse(account, opening)
        } else {
            Ok(current_purse(account))
        }
    };
    Ok(Place {
        user: trading.user_id,
        trading: trading.id,
        name: name.to_owned(),
        stock: purse(&symbol.base, OPENING_STOCK)?,
        currency: purse(&symbol.quote, OPENING_CURRENCY)?,
    })
}

async fn find_or_make_trading(
    client: &ApiClient,
    name: &str,
    symbol: &Symbol,
    opened: Option<DateTime<Utc>>,
) -> anyhow::Result<Trading> {
    let mut tradings = api::tradings(client).await?.into_iter();
    if let Some(found) = tradings.find(|trading| trading.name == name) {
        return Ok(found);
    }

    let accounts = [
        (symbol.base.as_str(), OPENING_STOCK),
        (symbol.quote.as_str(), OPENING_CURRENCY),
    ];
    api::create_trading(client, name, &accounts, opened)
        .await
        .with_context(|| format!("cannot make the trading {name:?}"))
}

/// The account of an asset, of which there must be one.
fn only_account<'a>(accounts: &'a [Account], asset: &Asset) -> anyhow::Result<&'a Account> {
    let mut of_asset = accounts
        .iter()
        .filter(|account| account.symbol == asset.as_str());
    let account = of_asset
        .next()
        .with_context(|| format!("it has no sub-account for {asset}"))?;
    anyhow::ensure!(
        of_asset.next().is_none(),
        "it has several sub-accounts for {asset}"
    );
    Ok(account)
}

fn opening_purse(account: &Account, opening: &str) -> anyhow::Result<Purse> {
    let opening = opening.parse().map_err(anyhow::Error::msg)?;
    Ok(Purse::new(
        account.id,
        account.symbol.clone(),
        opening,
        Money::ZERO,
        OPENING_POSTINGS,
    ))
}

fn current_purse(account: &Account) -> Purse {
    Purse::new(
        account.id,
        account.symbol.clone(),
        account.balance,
        account.locked,
        account.sequence,
    )
}
