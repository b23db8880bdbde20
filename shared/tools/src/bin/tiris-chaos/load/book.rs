//! One trading as its bot sees it: open orders, and what it does next.
//!
//! Owns: the mix of events and their amounts. Must not know: balances; that some events are refused is wanted.

use super::event::{self, Message, Order, Origin};
use super::people::{Account, Trading};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Number, Value};
use std::str::FromStr;

/// Orders beyond so many are closed before new ones are made.
const OPEN_MAX: usize = 12;
/// What every account is given first.
pub(super) const OPENING: &str = "1000000";
/// More than anybody has.
const TOO_MUCH: &str = "9999999999";

/// A message, and the name it is counted under.
type Counted = (&'static str, Message);

/// A trading as its bot sees it.
#[derive(Clone, Debug)]
pub(super) struct Book {
    pub(super) trading: Trading,
    open: Vec<Order>,
}

impl Book {
    pub(super) const fn new(trading: Trading) -> Self {
        Self {
            trading,
            open: Vec::new(),
        }
    }

    /// The next event, with the name it is counted under.
    pub(super) fn next(&mut self, origin: Origin, rng: &mut StdRng) -> Counted {
        let at = if self.open.is_empty() {
            None
        } else {
            Some(rng.random_range(0..self.open.len()))
        };

        match (rng.random_range(0..100), at) {
            (0..4, _) => {
                let error = event::error(rng.random_range(0..5));
                named(origin, "trading.errors", error)
            }
            (4..9, _) => named(origin, "trading.signals", event::signal("0.5")),
            (9..14, _) => {
                let heartbeat = event::heartbeat(rng.random_range(0..5));
                named(origin, "trading.heartbeat", heartbeat)
            }
            (14..34, _) => self.movement(origin, rng),
            (34..44, _) => self.hold_without_order(origin, rng),
            (44..60, Some(at)) => self.hold(origin, at, rng),
            (60..84, Some(at)) => self.fill(origin, at, rng),
            (84..90, Some(at)) => self.end(origin, at, "trading.orders.cancelled"),
            (90..93, Some(at)) => self.end(origin, at, "trading.orders.failed"),
            _ if self.open.len() < OPEN_MAX => self.create(origin, rng),
            _ => self.fill(origin, 0, rng),
        }
    }

    fn create(&mut self, origin: Origin, rng: &mut StdRng) -> Counted {
        let order = Order {
            name: format!("order-{}", origin.number),
            side: if rng.random() { "buy" } else { "sell" },
            volume: amount(rng),
            price: amount(rng),
        };
        let own = event::order(&self.trading, &order);
        self.open.push(order);
        named(origin, "trading.orders.created", own)
    }

    fn fill(&mut self, origin: Origin, at: usize, rng: &mut StdRng) -> Counted {
        // Some orders are filled in several parts.
        let order = if rng.random_ratio(1, 3) {
            self.open[at].clone()
        } else {
            self.open.swap_remove(at)
        };
        let fee = Value::from(format!("0.00{}", rng.random_range(1..100)));
        let own = event::filled(&self.trading, &order, &fee, rng.random_ratio(1, 4));
        named(origin, "trading.orders.filled", own)
    }

    fn end(&mut self, origin: Origin, at: usize, kind: &'static str) -> Counted {
        let order = self.open.swap_remove(at);
        named(origin, kind, event::order(&self.trading, &order))
    }

    fn hold(&self, origin: Origin, at: usize, rng: &mut StdRng) -> Counted {
        let order = &self.open[at];
        let [stock, currency, _] = &self.trading.accounts;
        let account = if order.side == "buy" { currency } else { stock };
        let kind = lock_or_unlock(rng.random_ratio(3, 4));
        let own = event::held(account, &amount(rng), Some(&order.name));
        named(origin, kind, own)
    }

    fn hold_without_order(&self, origin: Origin, rng: &mut StdRng) -> Counted {
        let account = &self.trading.accounts[rng.random_range(0..3)];
        let kind = lock_or_unlock(rng.random());
        named(origin, kind, event::held(account, &amount(rng), None))
    }

    fn movement(&self, origin: Origin, rng: &mut StdRng) -> Counted {
        let account = &self.trading.accounts[rng.random_range(0..3)];
        let first = self.open.first().filter(|_| rng.random_ratio(1, 4));
        let order = first.map(|order| order.name.as_str());
        movement(account, origin, order, rng)
    }
}

fn lock_or_unlock(locks: bool) -> &'static str {
    if locks {
        "trading.balance.locked"
    } else {
        "trading.balance.unlocked"
    }
}

/// Money in or out; some of it more than there is.
pub(super) fn movement(
    account: &Account,
    origin: Origin,
    order: Option<&str>,
    rng: &mut StdRng,
) -> Counted {
    let (amount, direction) = match rng.random_range(0..20) {
        0 => (TOO_MUCH.into(), "debit"),
        1..11 => (amount(rng), "credit"),
        _ => (amount(rng), "debit"),
    };
    let own = event::moved(account, &amount, direction, order);
    named(origin, "trading.balance.updated", own)
}

/// The first money of an account.
pub(super) fn opening(account: &Account, origin: Origin) -> Counted {
    let own = event::moved(account, &OPENING.into(), "credit", None);
    named(origin, "trading.balance.updated", own)
}

fn named(origin: Origin, kind: &'static str, own: Value) -> Counted {
    (kind, origin.message(kind, own))
}

/// From a millionth to some thousands, as a text or a number.
fn amount(rng: &mut StdRng) -> Value {
    let digits = rng.random_range(1..10_000);
    let places = rng.random_range(0..7);
    let text = format!("{digits}e-{places}");
    match Number::from_str(&text) {
        Ok(number) if rng.random() => Value::Number(number),
        _ => Value::from(text),
    }
}
