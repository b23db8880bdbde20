//! The stories of whole orders, most of whose messages are applied: created, locked, filled in parts, ended, locked again.

use super::cast::{BNB, BNB_PAIR, BTC, BTC_PAIR, USDT};
use super::messages::{Message, Own, pick, valid};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

/// The amount of the base asset that is locked for the fees.
const LOCKED_STOCK: &str = "0.25";

/// An order that buys at a price of 10.
#[derive(Clone, Debug)]
struct Story {
    /// One id for both pairs, so that stories meet.
    id: &'static str,
    is_of_bnb: bool,
    amount: u32,
    parts: Vec<u32>,
    end: Option<&'static str>,
    /// Whether locks name the pair.
    names_pair: bool,
    /// Whether the first lock precedes the creation.
    locks_first: bool,
}

impl Story {
    fn pair(&self) -> &'static str {
        if self.is_of_bnb { BNB_PAIR } else { BTC_PAIR }
    }

    fn stock(&self) -> Uuid {
        if self.is_of_bnb { BNB } else { BTC }
    }

    fn order(&self, kind: &'static str, status: &str) -> Own {
        let fields = json!({
            "sub_account_id": self.stock(), "order_id": self.id, "symbol": self.pair(), "side": "buy", "type": "limit",
            "amount": self.amount, "price": 10, "status": status,
        });
        Own { kind, fields }
    }

    /// Returns the purchase of a part, whose fee is paid in the base asset.
    fn part(&self, volume: u32) -> Own {
        let mut own = self.order("trading.orders.filled", "partially_filled");
        own.fields["fill"] = json!({
            "stock_account_id": self.stock(), "currency_account_id": USDT, "fee_account_id": self.stock(),
            "volume": volume, "price": 10, "fee": "0.001",
        });
        own
    }

    fn hold(&self, kind: &'static str, account: Uuid, symbol: &str, amount: Value) -> Own {
        let mut fields = json!({
            "sub_account_id": account, "symbol": symbol, "amount": amount, "related_order_id": self.id,
        });
        if self.names_pair {
            fields["order_symbol"] = self.pair().into();
        }
        Own { kind, fields }
    }

    fn lock_cost(&self) -> Own {
        let cost = json!(self.amount * 10);
        self.hold("trading.balance.locked", USDT, "USDT", cost)
    }

    fn events(&self) -> Vec<Own> {
        let base = self.pair().trim_end_matches("/USDT");
        let created = self.order("trading.orders.created", "open");
        let mut events = vec![created, self.lock_cost()];
        if self.locks_first {
            events.reverse();
        }

        let stock = self.stock();
        let locks = "trading.balance.locked";
        events.push(self.hold(locks, stock, base, LOCKED_STOCK.into()));
        events.extend(self.parts.iter().map(|volume| self.part(*volume)));
        let unlocks = "trading.balance.unlocked";
        events.push(self.hold(unlocks, USDT, "USDT", json!("2.5")));

        match self.end {
            Some(kind @ "trading.orders.filled") => events.push(self.order(kind, "Filled")),
            Some(kind) => events.push(self.order(kind, "gone")),
            None => {}
        }
        events.push(self.lock_cost());
        events
    }
}

/// Generates the messages of an order.
pub(super) fn any_story() -> impl Strategy<Value = Vec<Message>> {
    let id = pick(&[(1, "S"), (1, "T"), (1, "A")]);
    let end = pick(&[
        (2, None),
        (1, Some("trading.orders.cancelled")),
        (1, Some("trading.orders.failed")),
        (1, Some("trading.orders.filled")),
    ]);
    let parts = prop::collection::vec(1u32..4, 0..4);
    let switches = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.3));

    (id, 1u32..8, parts, end, switches, any::<u32>()).prop_map(
        |(id, amount, parts, end, (is_of_bnb, names_pair, locks_first), number)| {
            let story = Story {
                id,
                is_of_bnb,
                amount,
                parts,
                end,
                names_pair,
                locks_first,
            };
            let events = story.events().into_iter().enumerate();
            let messages = events.map(|(at, own)| valid(&format!("story-{number}-{at}"), &own));
            messages.collect()
        },
    )
}
