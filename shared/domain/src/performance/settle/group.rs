//! Finds the postings of one moment that belong together.

use super::Posting;
use crate::ledger::{Asset, OrderId, Pair};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// The postings that form one activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those of a trading log.
    Log,
    /// Those of an order; without one, those of a trading log.
    Order,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Order(OrderId),
    Log(Uuid),
}

impl Key {
    fn of(posting: &Posting, scope: Scope) -> Self {
        let order = posting
            .traded_order()
            .filter(|_| matches!(scope, Scope::Order));

        match order {
            Some(order) => Self::Order(order.clone()),
            None => Self::Log(posting.log),
        }
    }
}

#[derive(Default)]
struct Group {
    postings: Vec<Posting>,
    /// The place of the last posting in the moment.
    last: usize,
}

/// Groups the postings of a moment, ordered by the last posting of each group.
pub(super) fn groups(postings: Vec<Posting>, scope: Scope) -> Vec<Vec<Posting>> {
    let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
    for (place, posting) in postings.into_iter().enumerate() {
        let group = groups.entry(Key::of(&posting, scope)).or_default();
        group.last = place;
        group.postings.push(posting);
    }

    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| group.last);

    let postings = groups.into_iter().map(|group| group.postings);
    postings.flat_map(by_market).collect()
}

/// Separates the markets of an order, because exchanges use one order id for orders in several markets. A trading log
/// shows its market; movements do not, and stay together.
fn by_market(postings: Vec<Posting>) -> Vec<Vec<Posting>> {
    if !has_several_markets(&postings) {
        return vec![postings];
    }

    let market = |posting: &Posting| Some((posting.log, pair(posting.market()?)));
    let markets: HashMap<Uuid, Pair> = postings.iter().filter_map(market).collect();
    let mut parts: BTreeMap<Option<Pair>, Vec<Posting>> = BTreeMap::new();
    for posting in postings {
        let market = markets.get(&posting.log).cloned();
        parts.entry(market).or_default().push(posting);
    }
    parts.into_values().collect()
}

fn has_several_markets(postings: &[Posting]) -> bool {
    let mut markets = postings.iter().filter_map(Posting::market);
    let first = markets.next();

    markets.any(|market| Some(market) != first)
}

fn pair((base, quote): (&Asset, &Asset)) -> Pair {
    Pair {
        base: base.clone(),
        quote: quote.clone(),
    }
}
