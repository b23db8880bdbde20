//! Cases computed by hand, and properties.

mod prices;
mod properties;
mod returns;
mod trades;

use super::*;
use crate::ledger::{Asset, Direction};
use crate::money::Money;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

/// Noon of a day of 2018.
fn day(number: u32) -> DateTime<Utc> {
    let first: DateTime<Utc> = "2018-01-01T12:00:00Z".parse().expect("a time");
    first + TimeDelta::days(i64::from(number) - 1)
}

fn asset(symbol: &str) -> Asset {
    symbol.parse().expect("a symbol")
}

fn money(text: &str) -> Money {
    text.parse().expect(text)
}

/// A history in the making.
#[derive(Clone, Debug, Default)]
struct History {
    postings: Vec<Posting>,
    logs: u128,
}

/// How a fee is paid.
#[derive(Clone, Copy, Debug)]
enum Fee<'a> {
    /// By the currency leg.
    Within(&'a str),
    /// Of another asset.
    Apart(&'a str, &'a str),
}

const FREE: Fee<'_> = Fee::Within("0");

impl History {
    fn add(
        &mut self,
        time: DateTime<Utc>,
        symbol: &str,
        signed: &str,
        reason: &str,
    ) -> &mut Posting {
        let (direction, amount) = match signed.strip_prefix('-') {
            Some(amount) => (Direction::Debit, amount),
            None => (Direction::Credit, signed),
        };
        self.logs += 1;
        self.postings.push(Posting {
            time,
            asset: asset(symbol),
            direction,
            amount: money(amount),
            reason: reason.to_owned(),
            price: None,
            quote: None,
            fee: None,
            order: None,
            log: Uuid::from_u128(self.logs),
        });
        self.postings.last_mut().expect("the one just added")
    }

    /// Money comes in, or goes out.
    fn flow(mut self, time: DateTime<Utc>, symbol: &str, signed: &str) -> Self {
        self.add(time, symbol, signed, "deposit");
        self
    }

    /// A leg that a bot settled by itself, for an order.
    fn leg(mut self, time: DateTime<Utc>, symbol: &str, signed: &str, order: &str) -> Self {
        self.add(time, symbol, signed, "whatever").order = order.parse().ok();
        self
    }

    fn buy(self, time: DateTime<Utc>, pair: &str, volume: &str, price: &str, fee: Fee<'_>) -> Self {
        self.trade(time, pair, (volume, true), price, fee)
    }

    fn sell(
        self,
        time: DateTime<Utc>,
        pair: &str,
        volume: &str,
        price: &str,
        fee: Fee<'_>,
    ) -> Self {
        self.trade(time, pair, (volume, false), price, fee)
    }

    /// A trade as the ledger books it.
    fn trade(
        mut self,
        time: DateTime<Utc>,
        pair: &str,
        (volume, is_buy): (&str, bool),
        price: &str,
        fee: Fee<'_>,
    ) -> Self {
        let (base, quote) = pair.split_once('/').expect("a pair");
        let number = |text: &str| text.parse::<crate::money::Number>().expect(text);
        let cost = number(price).times(&number(volume)).rounded();
        let within = match fee {
            Fee::Within(fee) => number(fee),
            Fee::Apart(..) => number("0"),
        };
        let paid = if is_buy {
            cost.plus(&within)
        } else {
            cost.minus(&within)
        };
        let (stock_sign, currency_sign) = if is_buy { ("", "-") } else { ("-", "") };
        let (price, quote_asset) = (Some(money(price)), Some(asset(quote)));
        let stock = self.add(time, base, &format!("{stock_sign}{volume}"), "trade");
        (stock.price, stock.quote) = (price, quote_asset.clone());
        let log = stock.log;
        let currency = self.add(time, quote, &format!("{currency_sign}{paid}"), "trade");
        (currency.price, currency.quote, currency.log) = (price, quote_asset, log);
        currency.fee = within.to_money().filter(|fee| fee.is_positive());
        if let Fee::Apart(symbol, amount) = fee {
            let fee = self.add(time, symbol, &format!("-{amount}"), "fee");
            (fee.fee, fee.log) = (Some(money(amount)), log);
        }
        self
    }

    fn in_period(&self, measure: &str, period: Period) -> Performance {
        let mut fold = Fold::new(asset(measure), period, None);
        for posting in &self.postings {
            fold.push(posting.clone()).expect("no curve");
        }
        fold.finish().expect("no curve").0
    }

    fn measured_in(&self, measure: &str) -> Performance {
        self.in_period(measure, Period::default())
    }

    fn curve(&self, measure: &str, interval: Interval) -> Result<Vec<Point>, TooManyPoints> {
        let mut fold = Fold::new(asset(measure), Period::default(), Some(interval));
        for posting in &self.postings {
            fold.push(posting.clone())?;
        }
        Ok(fold.finish()?.1)
    }
}

/// Whether two figures are the same but for the last digits of a float.
#[expect(clippy::float_arithmetic, reason = "a comparison")]
fn is_near(one: Option<f64>, other: f64) -> bool {
    one.is_some_and(|one| (one / other).ln().abs() < 1e-12 || one.to_bits() == other.to_bits())
}

fn text(exact: &Exact) -> String {
    exact.to_string()
}
