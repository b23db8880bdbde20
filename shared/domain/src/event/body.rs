//! A parsed event and the command it becomes.

use super::kind::Kind;
use crate::ids::{AccountId, TradingId, UserId};
use crate::ledger::{Command, OrderId, Pair, Trade};
use crate::money::Number;
use crate::states::{BotStatus, Side};
use crate::value::{Component, EventId};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// An event of a bot. Every field holds its limits; nothing in it was checked against the books.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its kind.
    pub kind: Kind,
    /// Its id.
    pub event_id: EventId,
    /// When it happened, by the bot.
    pub timestamp: DateTime<Utc>,
    /// Whom it concerns.
    pub user: UserId,
    /// The trading it belongs to.
    pub trading: TradingId,
    /// The account it names first, absent where the kind allows it.
    pub sub_account: Option<AccountId>,
    /// What its row says in words.
    pub message: String,
    /// What its row keeps besides its columns: `metadata`, `unknown`, `raw`, `source`, empty parts left out.
    pub info: Map<String, Value>,
    /// The first 16 bytes of SHA-256 over the canonical form of the parsed fields except `metadata`, `message`
    /// and `source`, numbers by value: equal exactly when two events say the same.
    pub content_hash: [u8; 16],
    /// What it says.
    pub body: Body,
}

/// What an event says, by kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `orders.*`
    Order(Order),
    /// `balance.*`
    Balance(BalanceChange),
    /// `errors`: everything it says stands in message and info.
    Error,
    /// `signals`: everything it says stands in message and info.
    Signal,
    /// `heartbeat`
    Heartbeat(Heartbeat),
}

/// What happened to an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Its id at the exchange.
    pub order_id: OrderId,
    /// Base and quote asset.
    pub symbol: Pair,
    /// Buy or sell.
    pub side: Side,
    /// The settlement, when `filled` carries it.
    pub fill: Option<Fill>,
}

/// All legs of an executed trade.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// Account of the base asset.
    pub stock_account: AccountId,
    /// Account of the quote asset.
    pub currency_account: AccountId,
    /// Traded amount of the base asset.
    pub volume: Number,
    /// Price in the quote asset.
    pub price: Number,
    /// Fee in the asset of the account that pays it.
    pub fee: Number,
    /// Who pays the fee, when it is not the currency account.
    pub fee_account: Option<AccountId>,
    /// Exact cost or proceeds.
    pub quote_amount: Option<Number>,
    /// Whether a sell was a stop-loss.
    pub stop_loss: bool,
}

/// A movement, lock or unlock of one account.
#[derive(Clone, Debug, PartialEq)]
pub struct BalanceChange {
    /// The order it is about, if any.
    pub order_id: Option<OrderId>,
    /// What the ledger is asked to do.
    pub command: Command,
}

/// The state of a component of a bot.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    /// How it is.
    pub status: BotStatus,
    /// Which part of the bot.
    pub component: Component,
    /// Whatever it measures.
    pub metrics: Map<String, Value>,
}

impl Event {
    /// What the ledger is asked to do; `None` for heartbeats, which write no log.
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
        match (&order.fill, self.kind, self.sub_account) {
            (Some(fill), _, _) => Command::Trade(order.trade(fill)),
            (None, Kind::OrderCancelled | Kind::OrderFailed, Some(account)) => Command::Release {
                account,
                order: order.order_id.clone(),
            },
            (None, _, account) => Command::Record { account },
        }
    }

    /// The type of the trading log the event writes.
    #[must_use]
    pub fn log_type(&self) -> &'static str {
        match &self.body {
            Body::Order(Order {
                side,
                fill: Some(fill),
                ..
            }) => trade_reason(*side, fill.stop_loss),
            Body::Order(_) | Body::Balance(_) | Body::Error | Body::Signal | Body::Heartbeat(_) => {
                self.kind.log_type()
            }
        }
    }

    /// The order the event is about.
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
            fee: fill.fee.clone(),
            fee_account: fill.fee_account,
            order: Some(self.order_id.clone()),
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
