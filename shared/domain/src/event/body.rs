//! A parsed event and the command that it requests.

use super::kind::Kind;
use crate::ids::{AccountId, TradingId, UserId};
use crate::ledger::{Command, Fee, OrderEvent, OrderId, OrderStep, OrderTerms, Pair, Trade};
use crate::money::Number;
use crate::states::{BotStatus, Side};
use crate::value::{Component, EventId};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// An event of a bot. Every field is within its limits; nothing is checked against the books.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The kind of the event.
    pub kind: Kind,
    /// The id given by the bot, unique per user.
    pub event_id: EventId,
    /// When it happened, by the bot's clock.
    pub timestamp: DateTime<Utc>,
    /// The user of the bot.
    pub user: UserId,
    /// The trading of the bot.
    pub trading: TradingId,
    /// The payload's `sub_account_id`; some kinds do not need it.
    pub sub_account: Option<AccountId>,
    /// The message of its trading log.
    pub message: String,
    /// The info of its trading log: `metadata`, `unknown`, `raw`, `left_out` and `source`, without empty parts.
    pub info: Map<String, Value>,
    /// The first 16 bytes of SHA-256 over the canonical form of the parsed fields except `metadata`, `message` and
    /// `source`, with numbers by value: equal for events with the same content.
    pub content_hash: [u8; 16],
    /// The fields of its kind.
    pub body: Body,
}

/// The fields of an event by kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `orders.*`
    Order(Order),
    /// `balance.*`
    Balance(BalanceChange),
    /// `errors`: all its fields are in message and info.
    Error,
    /// `signals`: all its fields are in message and info.
    Signal,
    /// `heartbeat`
    Heartbeat(Heartbeat),
}

/// The body of an event, and the message of its log.
pub(super) type Parsed = (Body, String);

/// A change of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The order's id at the exchange.
    pub order_id: OrderId,
    /// The base and quote asset.
    pub symbol: Pair,
    /// Whether the order buys or sells.
    pub side: Side,
    /// The terms of the order.
    pub terms: OrderTerms,
    /// Whether the bot reports that nothing is left of the order.
    pub is_filled: bool,
    /// The settlement, which only `filled` can have.
    pub fill: Option<Fill>,
}

/// All legs of an executed trade.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// The account of the base asset.
    pub stock_account: AccountId,
    /// The account of the quote asset.
    pub currency_account: AccountId,
    /// The traded amount of the base asset.
    pub volume: Number,
    /// The price of one base unit in the quote asset; zero beside a quote amount means that none is given.
    pub price: Number,
    /// The exact cost or proceeds; `None` for price times volume.
    pub quote_amount: Option<Number>,
    /// The fees and rebates.
    pub fees: Vec<Fee>,
    /// Whether a sell was a stop-loss.
    pub stop_loss: bool,
}

/// A movement, lock or unlock of one account.
#[derive(Clone, Debug, PartialEq)]
pub struct BalanceChange {
    /// The order of the change, if any.
    pub order_id: Option<OrderId>,
    /// The command for the ledger.
    pub command: Command,
}

/// A report that a bot's component is alive.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    /// The health of the component.
    pub status: BotStatus,
    /// The name of the component.
    pub component: Component,
    /// Measurements in a format of the bot.
    pub metrics: Map<String, Value>,
}

impl Event {
    /// Returns the command for the ledger; `None` for heartbeats, which write no log.
    #[must_use]
    pub fn command(&self) -> Option<Command> {
        match &self.body {
            Body::Order(order) => Some(self.order_command(order)),
            Body::Balance(change) => Some(change.command.clone()),
            Body::Error | Body::Signal => Some(Command::Record {
                account: self.sub_account,
            }),
            Body::Heartbeat(_) => None,
        }
    }

    fn order_command(&self, order: &Order) -> Command {
        let step = match self.kind {
            Kind::OrderFilled => OrderStep::Filled {
                ends: order.is_filled,
            },
            Kind::OrderCancelled => OrderStep::Cancelled,
            Kind::OrderFailed => OrderStep::Failed,
            // The other kinds have no order.
            _ => OrderStep::Created,
        };

        match &order.fill {
            Some(fill) => Command::Trade(order.trade(fill)),
            None => Command::Order(OrderEvent {
                account: self.sub_account,
                order: order.order_id.clone(),
                pair: order.symbol.clone(),
                side: order.side,
                terms: order.terms.clone(),
                step,
            }),
        }
    }

    /// Returns the type of the event's trading log.
    #[must_use]
    pub fn log_type(&self) -> &'static str {
        if let Body::Order(order) = &self.body
            && let Some(fill) = &order.fill
        {
            return trade_reason(order.side, fill.stop_loss);
        }
        self.kind.log_type()
    }

    /// Returns the order of the event, if any.
    #[must_use]
    pub fn order_id(&self) -> Option<&OrderId> {
        match &self.body {
            Body::Order(order) => Some(&order.order_id),
            Body::Balance(change) => change.order_id.as_ref(),
            Body::Error | Body::Signal | Body::Heartbeat(_) => None,
        }
    }
}

impl Order {
    fn trade(&self, fill: &Fill) -> Trade {
        Trade {
            side: self.side,
            reason: trade_reason(self.side, fill.stop_loss),
            stock_account: fill.stock_account,
            stock: self.symbol.base.clone(),
            currency_account: fill.currency_account,
            currency: self.symbol.quote.clone(),
            volume: fill.volume.clone(),
            price: fill.price.clone(),
            quote_amount: fill.quote_amount.clone(),
            fees: fill.fees.clone(),
            order: Some(self.order_id.clone()),
            terms: Some(self.terms.clone()),
            ends_order: self.is_filled,
        }
    }
}

const fn trade_reason(side: Side, stop_loss: bool) -> &'static str {
    match (side, stop_loss) {
        (Side::Buy, _) => "long",
        (Side::Sell, true) => "stop_loss",
        (Side::Sell, false) => "short",
    }
}
