//! Nets the postings of one order or trading log by asset.

use super::{Activity, Change, Posting, SettledTrade};
use crate::ledger::{Asset, Direction};
use crate::performance::exact::Exact;
use std::collections::BTreeMap;

/// Returns the activities of the postings of one order or trading log.
pub(super) fn activities(postings: &[Posting], measure: &Asset) -> Vec<Activity> {
    let fees = postings.iter().filter(|posting| posting.is_fee());
    let fees = Nets::of(fees).changes();
    let legs = Nets::of(postings.iter().filter(|posting| !posting.is_fee()));

    let quote = postings.iter().find_map(|posting| posting.quote.as_ref());
    let base = postings.iter().find_map(Posting::market);
    let outcome = match quote {
        Some(quote) => legs.of_fill(base.map(|(base, _)| base), quote),
        None => legs.of_movements(measure),
    };

    let mut activities = Vec::new();
    match outcome.exchange {
        Some(Exchange { stock, currency }) => {
            activities.push(Activity::Trade(Box::new(SettledTrade {
                stock,
                currency,
                fees,
            })));
        }
        None => activities.extend(fees.into_iter().map(Activity::Fee)),
    }
    activities.extend(outcome.costs.into_iter().map(Activity::Fee));
    activities.extend(outcome.flows.into_iter().map(Activity::Flow));
    activities
}

/// What the legs of one order or trading log did.
#[derive(Default)]
struct Outcome {
    exchange: Option<Exchange>,
    /// Costs and gains of trading without an exchange.
    costs: Vec<Change>,
    flows: Vec<Change>,
}

struct Exchange {
    stock: Change,
    currency: Change,
}

impl Exchange {
    fn is_possible(stock: &Change, currency: &Change) -> bool {
        let stock = stock.exchanged();
        let currency = currency.exchanged();

        (stock.is_positive() && currency.is_negative())
            || (stock.is_negative() && currency.is_positive())
    }
}

/// The sum of the postings in one asset.
struct Net {
    change: Change,
    /// Whether any of them is a credit.
    has_credit: bool,
    /// Whether any of them is a debit.
    has_debit: bool,
}

impl Net {
    fn new(asset: &Asset) -> Self {
        Self {
            change: Change {
                asset: asset.clone(),
                amount: Exact::default(),
                fee: Exact::default(),
            },
            has_credit: false,
            has_debit: false,
        }
    }

    fn add(&mut self, posting: &Posting) {
        let amount = Exact::from(posting.amount);
        match posting.direction {
            Direction::Credit => {
                self.change.amount = self.change.amount.plus(&amount);
                self.has_credit = true;
            }
            Direction::Debit => {
                self.change.amount = self.change.amount.minus(&amount);
                self.has_debit = true;
            }
        }

        // A fee posting is a fee as a whole, not a leg that includes one.
        if let Some(fee) = posting.fee.filter(|_| !posting.is_fee()) {
            self.change.fee = self.change.fee.plus(&fee.into());
        }
    }
}

/// The sums of postings by asset.
struct Nets<'a>(BTreeMap<&'a Asset, Net>);

impl<'a> Nets<'a> {
    fn of(postings: impl Iterator<Item = &'a Posting>) -> Self {
        let mut nets = BTreeMap::new();
        for posting in postings {
            let net = nets.entry(&posting.asset);
            net.or_insert_with_key(|asset| Net::new(asset)).add(posting);
        }
        Self(nets)
    }

    /// Returns the changes that are not zero.
    fn changes(self) -> Vec<Change> {
        let changes = self.0.into_values().map(|net| net.change);

        changes.filter(|change| !change.amount.is_zero()).collect()
    }

    fn take(&mut self, asset: &Asset) -> Option<Change> {
        self.0.remove(asset).map(|net| net.change)
    }

    /// Returns the outcome of fills: an exchange of the assets of their market. Where only one of them changed, because
    /// the amount of the other rounds to zero or their amounts cancel out, the change is a cost or a gift of the
    /// exchange. Movements of other assets are flows.
    fn of_fill(mut self, base: Option<&Asset>, quote: &Asset) -> Outcome {
        let stock = base.and_then(|base| self.take(base));
        let currency = self.take(quote);
        let flows = self.changes();

        match (stock, currency) {
            (Some(stock), Some(currency)) if Exchange::is_possible(&stock, &currency) => Outcome {
                exchange: Some(Exchange { stock, currency }),
                flows,
                ..Outcome::default()
            },
            (stock, currency) => Outcome {
                costs: stock
                    .into_iter()
                    .chain(currency)
                    .filter(|change| !change.amount.is_zero())
                    .collect(),
                flows,
                ..Outcome::default()
            },
        }
    }

    /// Returns the outcome of movements: an exchange if exactly one asset comes in and one goes out. If every asset
    /// moved both ways, the rest is the result of trading. Otherwise a leg is missing or belongs to no pair, and all
    /// are flows.
    fn of_movements(self, measure: &Asset) -> Outcome {
        let is_two_way = |net: &Net| net.has_credit && net.has_debit;
        let is_round_trip = self.0.len() > 1 && self.0.values().all(is_two_way);
        let changes = self.changes();

        match <[Change; 2]>::try_from(changes) {
            Ok([one, other]) if Exchange::is_possible(&one, &other) => Outcome {
                exchange: Some(exchange(one, other, measure)),
                ..Outcome::default()
            },
            Ok(changes) => Outcome::without_exchange(changes.into(), is_round_trip),
            Err(changes) => Outcome::without_exchange(changes, is_round_trip),
        }
    }
}

impl Outcome {
    fn without_exchange(changes: Vec<Change>, is_round_trip: bool) -> Self {
        if is_round_trip {
            Self {
                costs: changes,
                ..Self::default()
            }
        } else {
            Self {
                flows: changes,
                ..Self::default()
            }
        }
    }
}

/// Returns the exchange of two movements: a sale of the outgoing asset, unless that is the asset of all figures.
fn exchange(one: Change, other: Change, measure: &Asset) -> Exchange {
    let (incoming, outgoing) = if one.amount.is_positive() {
        (one, other)
    } else {
        (other, one)
    };

    if outgoing.asset == *measure {
        Exchange {
            stock: incoming,
            currency: outgoing,
        }
    } else {
        Exchange {
            stock: outgoing,
            currency: incoming,
        }
    }
}
