//! The states and kinds that columns, requests, events and metrics share: one enum each, with one spelling.

use crate::value::Invalid;
use serde_json::Value as Json;

/// An enum whose variants have one name each.
pub trait State: Copy + Sized + 'static {
    /// All variants, in the order of their declaration.
    const ALL: &'static [Self];
    /// The names of all variants, in the same order.
    const NAMES: &'static [&'static str];

    /// Returns the name in columns, requests, responses, events and metrics.
    fn as_str(self) -> &'static str;

    /// Returns the variant with a name.
    ///
    /// # Errors
    /// [`Invalid`] when no variant has the name.
    fn parse(name: &str) -> Result<Self, Invalid> {
        Self::named(name).ok_or_else(|| Self::unknown(&name.into()))
    }

    /// Returns the variant with a name; `None` when no variant has it.
    #[must_use]
    fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();

        all.find(|state| state.as_str() == name)
    }

    /// Returns the error for a value that names no variant.
    #[must_use]
    fn unknown(given: &Json) -> Invalid {
        Invalid::given(format!("must be one of {}", Self::NAMES.join(", ")), given)
    }
}

/// Declares enums that implement [`State`]; the documentation of an enum becomes the description of its schema.
macro_rules! states {
    ($(
        $(#[doc = $doc:literal])+
        $state:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)+ }
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $state {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $state {
            /// Returns the name in columns, requests, responses, events and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl $crate::states::State for $state {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];
            const NAMES: &'static [&'static str] = &[$($name,)+];

            fn as_str(self) -> &'static str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $state {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $state {
            type Err = $crate::value::Invalid;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                <Self as $crate::states::State>::parse(name)
            }
        }

        impl TryFrom<String> for $state {
            type Error = $crate::value::Invalid;

            fn try_from(name: String) -> Result<Self, Self::Error> {
                name.parse()
            }
        }

        impl $crate::value::Value for $state {
            fn schema() -> $crate::value::Schema {
                $crate::value::Schema {
                    choices: <Self as $crate::states::State>::NAMES,
                    description: Some(concat!($($doc),+).trim_start()),
                    ..$crate::value::Schema::new(stringify!($state), $crate::value::SchemaKind::String)
                }
            }

            fn from_json(value: serde_json::Value) -> Result<Self, $crate::value::Invalid> {
                let state = value.as_str().and_then(<Self as $crate::states::State>::named);

                state.ok_or_else(|| <Self as $crate::states::State>::unknown(&value))
            }

            fn to_json(&self) -> serde_json::Value {
                self.as_str().into()
            }
        }

        $crate::value::newtype::serde_as_string!($state);
    )+};
}
pub(crate) use states;

states! {
    /// Whether a user may act.
    UserStatus {
        /// The user may act.
        Active = "active",
        /// Disabled by an admin: the data stays, and events wait.
        Disabled = "disabled",
        /// Deleted; the row stays for the books.
        Deleted = "deleted",
    }

    /// The permissions of a user.
    Role {
        /// Access to the user's own resources.
        User = "user",
        /// Access to the resources of all users.
        Admin = "admin",
    }

    /// An identity provider for signing in.
    IdentityProvider {
        /// Google
        Google = "google",
        /// WeChat
        Wechat = "wechat",
    }

    /// The market in which a trading takes place.
    TradingType {
        /// Real money at an exchange.
        Real = "real",
        /// Current prices and simulated money.
        Paper = "paper",
        /// Historical prices and simulated money.
        Backtest = "backtest",
    }

    /// Whether a bot may work on a trading.
    TradingStatus {
        /// A bot may work on it.
        Active = "active",
        /// Paused by its owner.
        Paused = "paused",
        /// Deleted by its owner; its history is being purged.
        Deleting = "deleting",
        /// Deleted; the row stays for the books.
        Deleted = "deleted",
    }

    /// The visibility of an exchange binding.
    BindingKind {
        /// Usable by its owner.
        Private = "private",
        /// Usable by all users.
        Public = "public",
    }

    /// The result of verifying a binding's credentials with the exchange.
    BindingStatus {
        /// Not verified yet.
        Unverified = "unverified",
        /// The exchange accepts the credentials.
        Valid = "valid",
        /// The exchange rejects the credentials.
        Refused = "refused",
        /// The binding is deleted; the row stays for the books.
        Deleted = "deleted",
    }

    /// The exchange of a binding.
    ExchangeType {
        /// Binance
        Binance = "binance",
        /// Kraken
        Kraken = "kraken",
        /// Gate.io
        Gate = "gate",
        /// Coinbase
        Coinbase = "coinbase",
        /// OKX
        Okx = "okx",
        /// No exchange: simulated money
        Virtual = "virtual",
    }

    /// Whether a posting increases or decreases a balance.
    Direction {
        /// The balance increases.
        Credit = "credit",
        /// The balance decreases.
        Debit = "debit",
    }

    /// The source of a trading log.
    LogSource {
        /// A user, through the API.
        Manual = "manual",
        /// A bot's event.
        Bot = "bot",
    }

    /// Whether a dead letter still needs a decision.
    DeadLetterStatus {
        /// It needs a decision.
        Open = "open",
        /// Its event was replayed into the books.
        Replayed = "replayed",
        /// Discarded by an admin.
        Discarded = "discarded",
    }

    /// Why an event became a dead letter.
    DeadLetterClass {
        /// It cannot be parsed.
        Malformed = "malformed",
        /// It refers to a resource that does not exist yet; it is retried.
        Unresolved = "unresolved",
        /// The ledger rejects it.
        Rejected = "rejected",
    }

    /// The progress of a range replay.
    ReplayStatus {
        /// No worker has started it.
        Queued = "queued",
        /// A worker is replaying.
        Running = "running",
        /// All events are replayed.
        Done = "done",
        /// It failed; the job records the reason.
        Failed = "failed",
    }

    /// The health that a bot's component reports.
    BotStatus {
        /// The component works.
        Healthy = "healthy",
        /// The component works with restrictions.
        Degraded = "degraded",
        /// The component does not work.
        Unhealthy = "unhealthy",
    }

    /// Whether events whose subject names no user are accepted.
    BareSubjects {
        /// They are accepted; a publisher can then send events of any user.
        Accept = "accept",
        /// They become dead letters.
        Refuse = "refuse",
    }

    /// The side of a trade, from the view of the stock account.
    Side {
        /// Stock comes in, currency goes out: `long`.
        Buy = "buy",
        /// Stock goes out, currency comes in: `short`, `stop_loss`.
        Sell = "sell",
    }

    /// The state of an order.
    OrderStatus {
        /// Nothing is filled yet.
        Open = "open",
        /// A part of its amount is filled.
        PartiallyFilled = "partially_filled",
        /// Its amount is filled, or the bot reported it as filled.
        Filled = "filled",
        /// Cancelled before its amount was filled.
        Cancelled = "cancelled",
        /// The exchange refused it, or it expired.
        Failed = "failed",
        /// Only locks or unlocks have named it.
        Unknown = "unknown",
    }

    /// The kind of a difference between an event and the books.
    DriftKind {
        /// A number was rounded to 18 decimal places.
        Rounded = "rounded",
        /// The reported balance differs from the books.
        Balance = "balance",
        /// An unlock exceeds the hold of its order.
        UnlockExceedsHold = "unlock_exceeds_hold",
        /// A lock or unlock names no pair, and its order id is used on several.
        AmbiguousOrder = "ambiguous_order",
        /// A lock names an order that has ended; nothing is held.
        OrderEnded = "order_ended",
        /// More than the amount of the order is filled.
        Overfilled = "overfilled",
        /// A lock repeats the last one of an order without fills.
        RepeatedLock = "repeated_lock",
        /// The hold is more than the order can need.
        HoldExceedsOrder = "hold_exceeds_order",
        /// Nothing was held where a hold was expected.
        NothingToRelease = "nothing_to_release",
    }

    /// The advice of a bot's strategy.
    SignalType {
        /// Buy the asset.
        Buy = "buy",
        /// Sell the asset.
        Sell = "sell",
        /// Do nothing.
        Hold = "hold",
    }

    /// The severity of a bot's error.
    Severity {
        /// No action is needed.
        Low = "low",
        /// It needs attention.
        Medium = "medium",
        /// It needs attention soon.
        High = "high",
        /// It needs attention immediately.
        Critical = "critical",
    }

    /// The state of a lane in its row.
    LaneStatus {
        /// A worker owns it; nothing is committed yet.
        Starting = "starting",
        /// It commits messages as they arrive.
        Running = "running",
        /// It retries after a failure.
        Waiting = "waiting",
        /// It needs an operator.
        Halted = "halted",
    }
}

impl ExchangeType {
    /// Returns whether an API key of this exchange has a passphrase.
    #[must_use]
    pub const fn has_passphrase(self) -> bool {
        matches!(self, Self::Coinbase | Self::Okx)
    }
}

impl OrderStatus {
    /// Returns whether the order is over, so that it holds nothing.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        match self {
            Self::Filled | Self::Cancelled | Self::Failed => true,
            Self::Open | Self::PartiallyFilled | Self::Unknown => false,
        }
    }
}

impl TradingStatus {
    /// Returns whether the trading exists for its owner.
    #[must_use]
    pub const fn is_living(self) -> bool {
        matches!(self, Self::Active | Self::Paused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_name_of_every_state() {
        for status in TradingStatus::ALL {
            assert_eq!(TradingStatus::parse(status.as_str()), Ok(*status));
        }
    }

    #[test]
    fn rejects_an_unknown_name_with_the_known_ones() {
        let refused = Role::parse("root").expect_err("no role");

        assert_eq!(
            refused.to_string(),
            "must be one of user, admin (given: \"root\")"
        );
    }
}
