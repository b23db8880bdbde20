//! The kinds of events, their subjects and the types of their logs.

use crate::text_enum::text_enum;
use uuid::Uuid;

text_enum! {
    /// The kind of an event.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Kind;

    /// Returns the subject without a user, which is also the payload's `event_type`.
    pub fn bare_subject {
        /// An order was placed.
        OrderCreated = "trading.orders.created",
        /// An order was executed, completely or in part.
        OrderFilled = "trading.orders.filled",
        /// An order was cancelled.
        OrderCancelled = "trading.orders.cancelled",
        /// An order failed.
        OrderFailed = "trading.orders.failed",
        /// A balance changed.
        BalanceUpdated = "trading.balance.updated",
        /// An amount was held for an order.
        BalanceLocked = "trading.balance.locked",
        /// A held amount was released.
        BalanceUnlocked = "trading.balance.unlocked",
        /// The bot reports an error.
        Error = "trading.errors",
        /// A strategy reports a signal.
        Signal = "trading.signals",
        /// A bot reports that it is alive.
        Heartbeat = "trading.heartbeat",
    }
}

impl Kind {
    /// Returns the kind with a subject without a user, which is also the payload's `event_type`.
    #[must_use]
    pub fn of_bare_subject(subject: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.bare_subject() == subject)
    }

    /// Returns the type of the trading log of an event that settles no trade.
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

    /// Returns the subject to which a bot of `user` publishes.
    #[must_use]
    pub fn subject_of(self, user: Uuid) -> String {
        format!("{}.{}", self.bare_subject(), user.hyphenated())
    }
}

/// A parsed subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The kind of the event.
    pub kind: Kind,
    /// The user token as given; `None` in bare subjects.
    pub user: Option<String>,
}

impl Subject {
    /// Parses a subject as published (`trading.orders.filled.<user>`) or as stored by the stream, which inserts the
    /// lane (`trading.orders.filled.<lane>.<user>`).
    #[must_use]
    pub fn parse(subject: &str) -> Option<Self> {
        let kind = Kind::ALL.into_iter().find(|kind| {
            subject
                .strip_prefix(kind.bare_subject())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })?;

        let mut rest = subject[kind.bare_subject().len()..].split('.').skip(1);
        let user = match (rest.next(), rest.next(), rest.next()) {
            (None, _, _) => None,
            (Some(user), None, _) => Some(user.to_owned()),
            (Some(lane), Some(user), None) if lane.parse::<u32>().is_ok() => Some(user.to_owned()),
            (Some(_), Some(_), _) => return None,
        };
        Some(Self { kind, user })
    }
}
