//! The auditor's orders: the pairs on which each order id is used, what is filled, and which orders have ended.

use super::decimal::{is_too_large, largest, rounded};
use super::reading::Reading;
use bigdecimal::{BigDecimal, Signed};
use std::collections::BTreeMap;

/// The orders of a trading that share an id.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    /// By pair; `""` while only a lock or unlock without a pair has named the order.
    pub(super) by_pair: BTreeMap<String, Order>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    pub(super) amount: Option<BigDecimal>,
    pub(super) filled: BigDecimal,
    /// What was paid or received for it, without fees.
    pub(super) quote_filled: BigDecimal,
    pub(super) has_ended: bool,
}

impl Order {
    fn is_filled(&self) -> bool {
        let amount = self.amount.iter().find(|amount| amount.is_positive());
        amount.is_some_and(|amount| self.filled >= *amount)
    }
}

/// Returns the order id of an event; `""` without one.
pub(super) fn id_of(event: &Reading) -> &str {
    let field = if event.is_of_order() {
        "order_id"
    } else {
        "related_order_id"
    };
    event.text(field)
}

impl Orders {
    /// Adds the order that an event names; returns its pair, `""` if the event and the orders leave it open.
    pub(super) fn name(&mut self, event: &Reading) -> String {
        if id_of(event).is_empty() {
            return String::new();
        }
        let pair = if event.is_of_order() {
            event.text("symbol")
        } else {
            event.text("order_symbol")
        };

        if !event.is_of_order() && !event.is_of_hold() {
            return self.pair_of(pair);
        }
        if !pair.is_empty() {
            // The first pair takes over the order without one, which has no figures yet.
            self.by_pair.remove("");
            self.by_pair.entry(pair.to_owned()).or_default();
        } else if self.by_pair.is_empty() {
            self.by_pair.insert(String::new(), Order::default());
        }
        if event.is_of_order() {
            self.set_amount(event, pair);
        }
        self.pair_of(pair)
    }

    /// Returns the given pair, else the only one, else `""`.
    fn pair_of(&self, given: &str) -> String {
        if !given.is_empty() {
            return given.to_owned();
        }
        let mut pairs = self.by_pair.keys().filter(|pair| !pair.is_empty());
        match (pairs.next(), pairs.next()) {
            (Some(only), None) => only.clone(),
            _ => String::new(),
        }
    }

    /// Sets the amount of an order: that of its creation, else the first one. Amounts that the books cannot hold do not
    /// count.
    fn set_amount(&mut self, event: &Reading, pair: &str) {
        let amount = rounded(&event.numbers["amount"]);
        if !amount.is_positive() || is_too_large(&amount) {
            return;
        }
        let order = self.by_pair.entry(pair.to_owned()).or_default();
        if order.amount.is_none() || event.kind == "trading.orders.created" {
            order.amount = Some(amount);
        }
    }

    /// Adds a fill to an order. Its sums end at the largest amount that the books can hold.
    pub(super) fn fill(&mut self, pair: &str, volume: &BigDecimal, value: &BigDecimal) {
        let order = self.by_pair.entry(pair.to_owned()).or_default();
        order.filled = largest().min(&order.filled + volume);
        order.quote_filled = largest().min(&order.quote_filled + value);
    }

    /// Ends the order of an event if the event does so; returns whether it does.
    pub(super) fn end(&mut self, event: &Reading, pair: &str) -> bool {
        let Some(order) = self.by_pair.get_mut(pair) else {
            return false;
        };
        let ends = match event.kind {
            "trading.orders.cancelled" | "trading.orders.failed" => true,
            "trading.orders.filled" => {
                event.text("status").eq_ignore_ascii_case("filled") || order.is_filled()
            }
            // The amount may become known after the fills.
            "trading.orders.created" => order.is_filled(),
            _ => false,
        };
        order.has_ended |= ends;
        ends
    }

    /// Returns whether a lock of this pair comes too late.
    pub(super) fn have_ended(&self, pair: &str) -> bool {
        match self.by_pair.get(pair) {
            Some(order) => order.has_ended,
            None => self.all_have_ended(),
        }
    }

    pub(super) fn all_have_ended(&self) -> bool {
        self.by_pair.values().all(|order| order.has_ended)
    }

    /// Returns the pairs whose holds an event of this pair may use, in order.
    pub(super) fn usable<'a>(&self, pair: &'a str) -> Vec<&'a str> {
        let others = self.by_pair.keys();
        let mut others = others.filter(|other| !other.is_empty() && *other != pair);
        match pair {
            "" => vec![""],
            _ if others.next().is_some() => vec![pair],
            _ => vec![pair, ""],
        }
    }
}
