//! Numbered tradings whose bots buy and sell in turn, and the events of their orders. Ids follow from numbers, as those of a
//! [`Population`].

use crate::population::{EventIds, Population};
use anyhow::Result;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;
use tiris_domain::event::Kind;
use tiris_domain::states::Side;
use uuid::Uuid;

/// Each trading has a stock and a currency account.
const ACCOUNTS: u64 = 2;
/// The opening balance of a currency account; each purchase and its sale gain a little.
const FUNDS: &str = "1";
/// Each fill settles a leg on the stock and one on the currency account, which pays the fee.
const POSTINGS_PER_FILL: u64 = 2;

/// A step of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Created,
    Locked,
    /// The first half is executed.
    HalfFilled,
    /// A better price than the limit leaves a part of the hold unused.
    Unlocked,
    /// The second half is executed, and the end of the order releases the rest of its hold.
    Filled,
}

/// A purchase and the sale that follows it, event by event.
const STEPS: [(Side, Step); 9] = [
    (Side::Buy, Step::Created),
    (Side::Buy, Step::Locked),
    (Side::Buy, Step::HalfFilled),
    (Side::Buy, Step::Unlocked),
    (Side::Buy, Step::Filled),
    (Side::Sell, Step::Created),
    (Side::Sell, Step::Locked),
    (Side::Sell, Step::HalfFilled),
    (Side::Sell, Step::Filled),
];
/// The length of [`STEPS`].
const STEP_COUNT: u64 = 9;
/// The fills in [`STEPS`].
const FILL_COUNT: u64 = 4;

/// Tradings of one user each. Their bots take every step at the same time: event `n` is for trading `n` modulo `tradings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFlow {
    /// The number of tradings.
    pub tradings: u64,
}

impl OrderFlow {
    /// Returns the smallest number of events, at least `events`, in which all bots end their purchases and sales.
    #[must_use]
    pub const fn round_up(self, events: u64) -> u64 {
        events.next_multiple_of(self.tradings * STEP_COUNT)
    }

    /// Returns the number of fills in so many events, which [`Self::round_up`] returned.
    #[must_use]
    pub const fn fills(self, events: u64) -> u64 {
        events / STEP_COUNT * FILL_COUNT
    }

    /// Returns the number of postings of so many events, which [`Self::round_up`] returned.
    #[must_use]
    pub const fn postings(self, events: u64) -> u64 {
        self.fills(events) * POSTINGS_PER_FILL
    }

    /// Inserts all users with their tradings, empty ETH accounts and funded BTC accounts; each deposit is a posting.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create(self, pool: &PgPool) -> Result<()> {
        let ids = |of: fn(u64) -> Uuid| (0..self.tradings).map(of).collect::<Vec<_>>();
        let population = Population::new(self.tradings * ACCOUNTS, ACCOUNTS);
        population.create(pool).await?;

        sqlx::query("UPDATE sub_accounts SET symbol = 'ETH' WHERE id = ANY($1)")
            .bind(ids(stock_account))
            .execute(pool)
            .await?;
        sqlx::query(
            "WITH funded AS (UPDATE sub_accounts SET balance = $2::numeric, sequence = 1 WHERE id = ANY($1) \
                 RETURNING id, user_id, trading_id, gen_random_uuid() AS posting, gen_random_uuid() AS log), \
             postings AS (INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, \
                     reason, amount, closing_balance, sequence, trading_log_id, info) \
                 SELECT posting, now(), user_id, trading_id, id, now(), 'credit', 'deposit', $2::numeric, $2::numeric, 1, log, \
                     '{}' FROM funded) \
             INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, transaction_id, postings, event_time, \
                     type, source, info) \
                 SELECT log, now(), user_id, trading_id, id, posting, 1, now(), 'deposit', 'manual', '{}' FROM funded",
        )
        .bind(ids(currency_account))
        .bind(FUNDS)
        .execute(pool)
        .await?;
        Ok(())
    }

    /// Returns the number of the user of event `n`.
    #[must_use]
    pub const fn user_of(self, n: u64) -> u64 {
        n % self.tradings
    }

    /// Returns the subject and payload of event `n`.
    #[must_use]
    pub fn event(self, n: u64, at: DateTime<Utc>) -> (String, Vec<u8>) {
        let trading = n % self.tradings;
        let earlier = n / self.tradings;
        let at_step = usize::try_from(earlier % STEP_COUNT).unwrap_or_default();
        let (side, step) = STEPS[at_step];
        let order = Order {
            id: self.order_id(trading, earlier / STEP_COUNT, side),
            trading,
            side,
        };

        let user = Population::user_id(trading);
        let (kind, mut event) = order.at(step);
        let common = json!({
            "event_id": EventIds::Ordered.of(n), "event_type": kind.bare_subject(),
            "timestamp": at.to_rfc3339_opts(SecondsFormat::Micros, true), "user_id": user,
            "trading_id": Population::trading_id(trading), "source": "bench-bot", "version": "1.0",
        });
        if let (Value::Object(event), Value::Object(common)) = (&mut event, common) {
            event.extend(common);
        }
        (kind.subject_of(user), event.to_string().into_bytes())
    }

    /// Returns the id of an order, unique over all tradings as at an exchange.
    fn order_id(self, trading: u64, round: u64, side: Side) -> String {
        let order = match side {
            Side::Buy => 2 * round,
            Side::Sell => 2 * round + 1,
        };
        format!("{:012}", order * self.tradings + trading)
    }
}

fn stock_account(trading: u64) -> Uuid {
    Population::account_id(trading * ACCOUNTS)
}

fn currency_account(trading: u64) -> Uuid {
    Population::account_id(trading * ACCOUNTS + 1)
}

/// An order over 0.02 ETH at 0.05 BTC; purchases are executed at a better price.
struct Order {
    id: String,
    trading: u64,
    side: Side,
}

impl Order {
    /// Returns the kind of the event of a step, and the fields of that kind.
    fn at(&self, step: Step) -> (Kind, Value) {
        match step {
            Step::Created => (Kind::OrderCreated, self.report("open")),
            Step::Locked => {
                let amount = match self.side {
                    Side::Buy => "0.00101",
                    Side::Sell => "0.02",
                };
                (Kind::BalanceLocked, self.hold(amount))
            }
            Step::Unlocked => (Kind::BalanceUnlocked, self.hold("0.00001")),
            Step::HalfFilled => (Kind::OrderFilled, self.fill("partially_filled")),
            Step::Filled => (Kind::OrderFilled, self.fill("filled")),
        }
    }

    fn report(&self, status: &str) -> Value {
        json!({
            "sub_account_id": currency_account(self.trading), "order_id": self.id, "symbol": "ETH/BTC",
            "side": self.side.as_str(), "type": "limit", "amount": "0.02", "price": "0.05", "status": status,
        })
    }

    fn hold(&self, amount: &str) -> Value {
        let (account, symbol) = match self.side {
            Side::Buy => (currency_account(self.trading), "BTC"),
            Side::Sell => (stock_account(self.trading), "ETH"),
        };
        json!({"sub_account_id": account, "symbol": symbol, "amount": amount, "related_order_id": self.id})
    }

    fn fill(&self, status: &str) -> Value {
        let price = match self.side {
            Side::Buy => "0.0499",
            Side::Sell => "0.0501",
        };
        let mut report = self.report(status);
        report["fill"] = json!({
            "stock_account_id": stock_account(self.trading), "currency_account_id": currency_account(self.trading),
            "volume": "0.01", "price": price, "fee": "0.0000005",
        });
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use tiris_domain::event::{BareSubjects, Event, parse};
    use tiris_domain::ids::{AccountId, TradingId, UserId};
    use tiris_domain::ledger::{self, Account, Book};
    use tiris_domain::money::Money;

    const FLOW: OrderFlow = OrderFlow { tradings: 3 };

    fn event(n: u64) -> Event {
        let (subject, payload) = FLOW.event(n, Utc::now());
        parse(&subject, &payload, BareSubjects::Refuse).expect("a valid event")
    }

    fn account(number: u64, asset: &str, balance: &str) -> Account {
        Account {
            id: AccountId(Population::account_id(number)),
            user: UserId(Population::user_id(number / ACCOUNTS)),
            trading: TradingId(Population::trading_id(number / ACCOUNTS)),
            asset: asset.parse().expect("an asset"),
            balance: balance.parse().expect("an amount"),
            locked: Money::ZERO,
            sequence: 0,
            holds: BTreeMap::new(),
        }
    }

    #[test]
    fn every_event_has_its_own_id() {
        let events = FLOW.round_up(1);

        let ids: BTreeSet<String> = (0..events)
            .map(|n| event(n).event_id.into_string())
            .collect();

        assert_eq!(events, 27);
        assert_eq!(ids.len(), 27);
    }

    #[test]
    fn the_ledger_fills_every_order_without_drift() {
        let mut book = Book::default();
        for trading in 0..FLOW.tradings {
            book.insert(account(trading * ACCOUNTS, "ETH", "0"));
            book.insert(account(trading * ACCOUNTS + 1, "BTC", FUNDS));
        }
        let events = FLOW.round_up(100);

        let mut postings = 0;
        for event in (0..events).map(event) {
            let command = event.command().expect("a command");
            let effect = ledger::apply(&book, event.user, event.trading, &command, event.timestamp)
                .expect("an applied event");
            assert_eq!(effect.drift, [], "{command:?}");
            postings += effect.postings.len();
            book.commit(&effect);
        }

        assert_eq!(u64::try_from(postings), Ok(FLOW.postings(events)));
        assert!(book.accounts().all(|account| account.locked == Money::ZERO));
        let last = event(events - 1);
        let order = last.order_id().expect("an order");
        let orders: Vec<_> = book.orders(last.trading, order).collect();
        assert!(
            orders.iter().all(|order| order.status.has_ended()),
            "{orders:?}"
        );
    }

    #[test]
    fn an_order_keeps_its_id_over_its_steps() {
        let order = |step: u64| {
            let (_, payload) = FLOW.event(step * FLOW.tradings, Utc::now());
            let event: Value = serde_json::from_slice(&payload).expect("JSON");
            event
                .get("order_id")
                .or(event.get("related_order_id"))
                .cloned()
        };

        let orders: Vec<_> = (0..9).map(order).collect();

        assert!(
            orders[..5].iter().all(|order| *order == orders[0]),
            "{orders:?}"
        );
        assert!(
            orders[5..].iter().all(|order| *order == orders[5]),
            "{orders:?}"
        );
        assert_ne!(orders[0], orders[5]);
    }
}
