//! The kinds of events, with their subjects and the logs they write.

use uuid::Uuid;

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An order was placed.
    OrderCreated,
    /// An order was executed, wholly or in part.
    OrderFilled,
    /// An order was cancelled.
    OrderCancelled,
    /// An order failed.
    OrderFailed,
    /// A balance moved.
    BalanceUpdated,
    /// Money was set aside for an order.
    BalanceLocked,
    /// Money set aside was released.
    BalanceUnlocked,
    /// Something went wrong in the bot.
    Error,
    /// A strategy came to a view.
    Signal,
    /// A bot is alive.
    Heartbeat,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::OrderCreated,
        Self::OrderFilled,
        Self::OrderCancelled,
        Self::OrderFailed,
        Self::BalanceUpdated,
        Self::BalanceLocked,
        Self::BalanceUnlocked,
        Self::Error,
        Self::Signal,
        Self::Heartbeat,
    ];

    /// The subject without a user, which is also the payload's `event_type`.
    #[must_use]
    pub const fn bare_subject(self) -> &'static str {
        match self {
            Self::OrderCreated => "trading.orders.created",
            Self::OrderFilled => "trading.orders.filled",
            Self::OrderCancelled => "trading.orders.cancelled",
            Self::OrderFailed => "trading.orders.failed",
            Self::BalanceUpdated => "trading.balance.updated",
            Self::BalanceLocked => "trading.balance.locked",
            Self::BalanceUnlocked => "trading.balance.unlocked",
            Self::Error => "trading.errors",
            Self::Signal => "trading.signals",
            Self::Heartbeat => "trading.heartbeat",
        }
    }

    /// The kind of this subject without a user, which is also the payload's `event_type`.
    #[must_use]
    pub fn of_bare_subject(subject: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.bare_subject() == subject)
    }

    /// The type of the trading log an event of this kind writes when it settles no trade.
    #[must_use]
    pub const fn log_type(self) -> &'static str {
        match self {
            Self::OrderCreated => "order_created",
            Self::OrderFilled => "order_filled",
            Self::OrderCancelled => "order_cancelled",
            Self::OrderFailed => "order_failed",
            Self::BalanceUpdated => "balance_updated",
            Self::BalanceLocked => "balance_locked",
            Self::BalanceUnlocked => "balance_unlocked",
            Self::Error => "error",
            Self::Signal => "signal",
            Self::Heartbeat => "heartbeat",
        }
    }

    /// The subject a bot of `user` publishes to.
    #[must_use]
    pub fn subject_of(self, user: Uuid) -> String {
        format!("{}.{}", self.bare_subject(), user.hyphenated())
    }
}
