//! Tests with figures computed by hand, and properties.

mod fees;
mod legs;
mod prices;
mod properties;
mod returns;
mod trades;
mod worth;

use super::*;
use crate::ledger::{Asset, Direction, Side};
use crate::money::{Money, Number};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

/// Returns noon of a day of 2018.
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

fn number(text: &str) -> Number {
    text.parse().expect(text)
}

/// A builder of postings.
#[derive(Clone, Debug, Default)]
struct History {
    postings: Vec<Posting>,
    logs: u128,
}

/// The payment of a fee.
#[derive(Clone, Copy, Debug)]
enum Fee<'a> {
    /// Included in the currency leg.
    Within(&'a str),
    /// A posting of its own: asset and amount.
    Apart(&'a str, &'a str),
}

const FREE: Fee<'_> = Fee::Within("0");

/// A trade of the first asset of a pair.
struct Deal<'a> {
    pair: &'a str,
    side: Side,
    volume: &'a str,
    price: &'a str,
    fee: Fee<'a>,
}

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
            quote: None,
            fee: None,
            order: None,
            log: Uuid::from_u128(self.logs),
        });
        self.postings.last_mut().expect("just added")
    }

    /// Adds a signed flow.
    fn flow(mut self, time: DateTime<Utc>, symbol: &str, signed: &str) -> Self {
        self.add(time, symbol, signed, "deposit");
        self
    }

    /// Adds a leg of an order that a bot settled with separate movements.
    fn leg(mut self, time: DateTime<Utc>, symbol: &str, signed: &str, order: &str) -> Self {
        self.add(time, symbol, signed, "other").order = order.parse().ok();
        self
    }

    fn buy(self, time: DateTime<Utc>, pair: &str, volume: &str, price: &str, fee: Fee<'_>) -> Self {
        let deal = Deal {
            pair,
            side: Side::Buy,
            volume,
            price,
            fee,
        };
        self.trade(time, deal)
    }

    fn sell(
        self,
        time: DateTime<Utc>,
        pair: &str,
        volume: &str,
        price: &str,
        fee: Fee<'_>,
    ) -> Self {
        let deal = Deal {
            pair,
            side: Side::Sell,
            volume,
            price,
            fee,
        };
        self.trade(time, deal)
    }

    /// Adds a trade with the postings of the ledger.
    fn trade(mut self, time: DateTime<Utc>, deal: Deal<'_>) -> Self {
        let (base, quote) = deal.pair.split_once('/').expect("a pair");
        let within = match deal.fee {
            Fee::Within(fee) => number(fee),
            Fee::Apart(..) => number("0"),
        };
        let cost = number(deal.price).times(&number(deal.volume)).rounded();
        let volume = deal.volume;
        let (stock, currency) = match deal.side {
            Side::Buy => (volume.to_owned(), format!("-{}", cost.plus(&within))),
            Side::Sell => (format!("-{volume}"), cost.minus(&within).to_string()),
        };

        let log = self.priced_leg(time, base, &stock, &deal).log;
        let leg = self.priced_leg(time, quote, &currency, &deal);
        leg.log = log;
        leg.fee = within.to_money().filter(|fee| fee.is_positive());
        if let Fee::Apart(symbol, amount) = deal.fee {
            let leg = self.add(time, symbol, &format!("-{amount}"), "fee");
            leg.log = log;
            leg.fee = Some(money(amount));
        }

        // The ledger writes no posting for an amount that rounds to zero.
        self.postings.retain(|posting| posting.amount.is_positive());
        self
    }

    /// Lets the last trading log name an order.
    fn of_order(mut self, order: &str) -> Self {
        let log = self.postings.last().expect("a posting").log;
        for posting in self.postings.iter_mut().rev() {
            if posting.log == log {
                posting.order = order.parse().ok();
            }
        }
        self
    }

    /// Adds a signed movement with a reason.
    fn movement(mut self, time: DateTime<Utc>, symbol: &str, signed: &str, reason: &str) -> Self {
        self.add(time, symbol, signed, reason);
        self
    }

    /// Adds a signed fee posting to the last trading log.
    fn with_fee(mut self, symbol: &str, signed: &str, reason: &str) -> Self {
        let last = self.postings.last().expect("a posting").clone();
        let posting = self.add(last.time, symbol, signed, reason);
        posting.log = last.log;
        posting.order = last.order;
        self
    }

    fn priced_leg(
        &mut self,
        time: DateTime<Utc>,
        symbol: &str,
        signed: &str,
        deal: &Deal<'_>,
    ) -> &mut Posting {
        let (_, quote) = deal.pair.split_once('/').expect("a pair");
        let leg = self.add(time, symbol, signed, "trade");
        leg.quote = Some(asset(quote));
        leg
    }

    /// Adds all postings to a fold.
    fn push_to(&self, fold: &mut Fold) -> Result<(), TooManyPoints> {
        for posting in &self.postings {
            fold.push(posting.clone())?;
        }
        Ok(())
    }

    fn in_period(&self, measure: &str, period: Period) -> Performance {
        let mut fold = Fold::new(asset(measure), period, None);
        self.push_to(&mut fold).expect("no curve");
        fold.finish().expect("no curve").0
    }

    fn measured_in(&self, measure: &str) -> Performance {
        self.in_period(measure, Period::default())
    }

    fn curve(&self, measure: &str, interval: Interval) -> Result<Vec<Point>, TooManyPoints> {
        let mut fold = Fold::new(asset(measure), Period::default(), Some(interval));
        self.push_to(&mut fold)?;
        Ok(fold.finish()?.1)
    }
}

/// Returns whether two figures are equal except for the last digits of a float.
#[expect(clippy::float_arithmetic, reason = "a comparison")]
fn is_near(one: Option<f64>, other: f64) -> bool {
    one.is_some_and(|one| (one / other).ln().abs() < 1e-12 || one.to_bits() == other.to_bits())
}

/// Asserts that [`is_near`] holds.
#[track_caller]
fn assert_near(found: Option<f64>, expected: f64) {
    assert!(is_near(found, expected), "{found:?} instead of {expected}");
}

fn text(exact: &Exact) -> String {
    exact.to_string()
}

/// Returns gains, losses, fees and turnover.
fn money_of(trades: &TradeFigures) -> [String; 4] {
    [
        &trades.gains,
        &trades.losses,
        &trades.fees,
        &trades.turnover,
    ]
    .map(text)
}
