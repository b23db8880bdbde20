//! A trading from the view of its bot: open orders and the next event. It does not know balances; refused events are part
//! of the load.

use super::event::{self, Message, Order, Origin};
use super::users::{Account, Trading};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Number, Value, json};
use std::str::FromStr;

/// Above this number of open orders none is created.
const OPEN_MAX: usize = 12;
/// The first credit of every account.
const OPENING: &str = "1000000";
/// More than any balance.
const TOO_MUCH: &str = "9999999999";

/// The kinds of events that change a hold.
const HOLDS: [&str; 2] = ["trading.balance.unlocked", "trading.balance.locked"];

/// A message and the name it is counted under.
type Counted = (&'static str, Message);

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

    /// Draws the next event.
    pub(super) fn next(&mut self, origin: Origin, rng: &mut StdRng) -> Counted {
        let at = match self.open.len() {
            0 => None,
            open => Some(rng.random_range(0..open)),
        };

        let (kind, own) = match (rng.random_range(0..100), at) {
            (0..4, _) => {
                let component = format!("part-{}", rng.random_range(0..5));
                let own = json!({"error_code": "E1", "error_message": "no", "severity": "low", "component": component});
                ("trading.errors", own)
            }
            (4..9, _) => {
                let own = json!({"signal_type": "hold", "symbol": "ETH/BTC", "confidence": "0.5", "strategy": "chaos"});
                ("trading.signals", own)
            }
            (9..14, _) => {
                let x = rng.random_range(0..5);
                let component = format!("part-{x}");
                let own = json!({"status": "healthy", "component": component, "metrics": {"x": x}});
                ("trading.heartbeat", own)
            }
            (14..34, _) => {
                let account = &self.trading.accounts[rng.random_range(0..3)];
                let first = self.open.first().filter(|_| rng.random_ratio(1, 4));
                let order = first.map(|order| order.name.as_str());
                return movement(account, origin, order, rng);
            }
            (34..44, _) => {
                let account = &self.trading.accounts[rng.random_range(0..3)];
                let kind = HOLDS[usize::from(rng.random::<bool>())];
                (kind, event::held(account, &amount(rng), None))
            }
            (44..60, Some(at)) => {
                let order = &self.open[at];
                let account = order.payer(&self.trading);
                let kind = HOLDS[usize::from(rng.random_ratio(3, 4))];
                let mut own = event::held(account, &amount(rng), Some(&order.name));
                if rng.random_ratio(1, 3) {
                    own["order_symbol"] = event::pair(&self.trading).into();
                }
                (kind, own)
            }
            (60..84, Some(at)) => self.fill(at, rng),
            (84..90, Some(at)) => ("trading.orders.cancelled", self.close(at)),
            (90..93, Some(at)) => ("trading.orders.failed", self.close(at)),
            _ if self.open.len() < OPEN_MAX => self.create(origin, rng),
            _ => self.fill(0, rng),
        };
        (kind, origin.message(kind, own))
    }

    fn create(&mut self, origin: Origin, rng: &mut StdRng) -> (&'static str, Value) {
        let order = Order {
            name: format!("order-{}", origin.number),
            side: if rng.random() { "buy" } else { "sell" },
            volume: amount(rng),
            price: amount(rng),
        };
        let own = order.fields(&self.trading);
        self.open.push(order);
        ("trading.orders.created", own)
    }

    fn fill(&mut self, at: usize, rng: &mut StdRng) -> (&'static str, Value) {
        // The book keeps some orders open, although a part of any size may end them; locks and fills then follow the end.
        let (order, volume) = if rng.random_ratio(1, 3) {
            (self.open[at].clone(), amount(rng))
        } else {
            let order = self.open.swap_remove(at);
            let volume = order.volume.clone();
            (order, volume)
        };
        let fee = Value::from(format!("0.00{}", rng.random_range(1..100)));
        let own = order.filled(&self.trading, &volume, &fee, rng.random_ratio(1, 4));
        ("trading.orders.filled", own)
    }

    fn close(&mut self, at: usize) -> Value {
        self.open.swap_remove(at).fields(&self.trading)
    }
}

/// Draws a credit or debit; some debits exceed the balance.
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
    moved(account, origin, &amount, direction, order)
}

/// Returns the first credit of an account.
pub(super) fn opening(account: &Account, origin: Origin) -> Counted {
    moved(account, origin, &OPENING.into(), "credit", None)
}

fn moved(
    account: &Account,
    origin: Origin,
    amount: &Value,
    direction: &str,
    order: Option<&str>,
) -> Counted {
    let kind = "trading.balance.updated";
    let mut own = event::held(account, amount, order);
    own["direction"] = direction.into();
    own["reason"] = "chaos".into();
    (kind, origin.message(kind, own))
}

/// Draws an amount, from a millionth to some thousands, as a string or a number.
fn amount(rng: &mut StdRng) -> Value {
    let digits = rng.random_range(1..10_000);
    let places = rng.random_range(0..7);
    let text = format!("{digits}e-{places}");
    match Number::from_str(&text) {
        Ok(number) if rng.random() => Value::Number(number),
        _ => Value::from(text),
    }
}
