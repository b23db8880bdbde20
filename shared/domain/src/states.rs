//! The states and kinds that columns, requests, events and metrics share: one enum each, with one spelling.

use crate::value::newtype::serde_by_value;
use crate::value::{Invalid, Schema, SchemaKind, Value};
use serde_json::Value as Json;
use std::fmt;

/// An enum of which every variant has one name.
pub trait State: Copy + Sized + 'static {
    /// All variants, in the order of their declaration.
    const ALL: &'static [Self];
    /// The names of all variants, in the same order.
    const NAMES: &'static [&'static str];

    /// The name in columns, requests, answers, events and metrics.
    fn as_str(self) -> &'static str;

    /// The variant with this name.
    ///
    /// # Errors
    /// [`Invalid`] when no variant has it.
    fn parse(name: &str) -> Result<Self, Invalid> {
        Self::named(name).ok_or_else(|| Self::unknown(&name.into()))
    }

    /// The variant with this name, when there is one.
    #[must_use]
    fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();

        all.find(|state| state.as_str() == name)
    }

    /// The error for a value that is the name of no variant.
    #[must_use]
    fn unknown(given: &Json) -> Invalid {
        Invalid::given(format!("must be one of {}", Self::NAMES.join(", ")), given)
    }
}

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
            /// The name in columns, requests, answers, events and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl State for $state {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];
            const NAMES: &'static [&'static str] = &[$($name,)+];

            fn as_str(self) -> &'static str {
                self.as_str()
            }
        }

        impl fmt::Display for $state {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $state {
            type Err = Invalid;

            fn from_str(name: &str) -> Result<Self, Invalid> {
                Self::parse(name)
            }
        }

        impl TryFrom<String> for $state {
            type Error = Invalid;

            fn try_from(name: String) -> Result<Self, Invalid> {
                Self::parse(&name)
            }
        }

        impl Value for $state {
            fn schema() -> Schema {
                Schema {
                    choices: Self::NAMES,
                    description: Some(concat!($($doc),+).trim_start()),
                    ..Schema::new(stringify!($state), SchemaKind::String)
                }
            }

            fn from_json(value: Json) -> Result<Self, Invalid> {
                value
                    .as_str()
                    .and_then(Self::named)
                    .ok_or_else(|| Self::unknown(&value))
            }

            fn to_json(&self) -> Json {
                Json::from(self.as_str())
            }
        }

        serde_by_value!($state);
    )+};
}

states! {
    /// Whether a user may act.
    UserStatus {
        /// May act.
        Active = "active",
        /// Stopped by an admin: keeps their data, their events wait.
        Disabled = "disabled",
        /// Gone; the row stays for the books.
        Deleted = "deleted",
    }

    /// What a user may see and do.
    Role {
        /// Their own resources.
        User = "user",
        /// Those of others too.
        Admin = "admin",
    }

    /// An identity provider that users sign in at.
    IdentityProvider {
        /// Google
        Google = "google",
        /// WeChat
        Wechat = "wechat",
    }

    /// Where a trading trades.
    TradingType {
        /// With money at an exchange.
        Real = "real",
        /// With prices of now and money on paper.
        Paper = "paper",
        /// With prices of the past.
        Backtest = "backtest",
    }

    /// Whether a bot may work on a trading.
    TradingStatus {
        /// It may.
        Active = "active",
        /// Its owner has paused it.
        Paused = "paused",
        /// Deleted by its owner; its history is being purged.
        Deleting = "deleting",
        /// Gone; the row stays for the books.
        Deleted = "deleted",
    }

    /// Who may use an exchange binding.
    BindingKind {
        /// Its owner.
        Private = "private",
        /// Everybody.
        Public = "public",
    }

    /// What the exchange says about the credentials of a binding.
    BindingStatus {
        /// Not verified yet.
        Unverified = "unverified",
        /// Accepted.
        Valid = "valid",
        /// Refused.
        Refused = "refused",
        /// The binding is gone; the row stays for the books.
        Deleted = "deleted",
    }

    /// An exchange that bindings are for.
    ExchangeType {
        /// Binance
        Binance = "binance",
        /// Kraken
        Kraken = "kraken",
        /// Gate
        Gate = "gate",
        /// Coinbase
        Coinbase = "coinbase",
        /// OKX
        Okx = "okx",
        /// No exchange: money on paper
        Virtual = "virtual",
    }

    /// Which way a posting moves a balance.
    Direction {
        /// The balance grows.
        Credit = "credit",
        /// The balance shrinks.
        Debit = "debit",
    }

    /// Who wrote a trading log.
    LogSource {
        /// A person.
        Manual = "manual",
        /// A bot.
        Bot = "bot",
    }

    /// Whether a dead letter still waits for a decision.
    DeadLetterStatus {
        /// It waits.
        Open = "open",
        /// Its event is in the books now.
        Replayed = "replayed",
        /// Given up by an admin.
        Discarded = "discarded",
    }

    /// Why an event was put aside.
    DeadLetterClass {
        /// It cannot be parsed.
        Malformed = "malformed",
        /// It names something that does not exist yet, and is retried.
        Unresolved = "unresolved",
        /// The ledger refuses it.
        Rejected = "rejected",
    }

    /// How far a replay of a range is.
    ReplayStatus {
        /// No worker has begun it.
        Queued = "queued",
        /// A worker is at it.
        Running = "running",
        /// Done.
        Done = "done",
        /// Given up; the job says why.
        Failed = "failed",
    }

    /// How a component of a bot says it is.
    BotStatus {
        /// All is well.
        Healthy = "healthy",
        /// It works with restrictions.
        Degraded = "degraded",
        /// It does not work.
        Unhealthy = "unhealthy",
    }

    /// Whether events whose subject names no user are accepted.
    BareSubjects {
        /// They are; nothing then holds a publisher to a user.
        Accept = "accept",
        /// They become dead letters.
        Refuse = "refuse",
    }

    /// Side of a trade, seen from the stock account.
    Side {
        /// Stock comes in, currency goes out: `long`.
        Buy = "buy",
        /// Stock goes out, currency comes in: `short`, `stop_loss`.
        Sell = "sell",
    }

    /// What a strategy of a bot advises.
    SignalType {
        /// To buy.
        Buy = "buy",
        /// To sell.
        Sell = "sell",
        /// To do nothing.
        Hold = "hold",
    }

    /// How bad an error of a bot is.
    Severity {
        /// It can wait.
        Low = "low",
        /// It needs a look.
        Medium = "medium",
        /// It needs a look soon.
        High = "high",
        /// It needs a look now.
        Critical = "critical",
    }

    /// What a lane is doing, as its row says.
    LaneStatus {
        /// Taken, nothing committed yet.
        Starting = "starting",
        /// Commits as messages come.
        Running = "running",
        /// Tries again after a failure.
        Waiting = "waiting",
        /// Needs an operator.
        Halted = "halted",
    }
}

impl ExchangeType {
    /// Whether its API keys come with a passphrase.
    #[must_use]
    pub const fn asks_for_passphrase(self) -> bool {
        matches!(self, Self::Coinbase | Self::Okx)
    }
}

impl TradingStatus {
    /// Whether the trading exists for its owner.
    #[must_use]
    pub const fn is_living(self) -> bool {
        matches!(self, Self::Active | Self::Paused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_parsed_to_its_state_and_back() {
        for status in TradingStatus::ALL {
            assert_eq!(TradingStatus::parse(status.as_str()), Ok(*status));
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_all_that_are_known() {
        let refused = Role::parse("root").expect_err("no role");

        assert_eq!(
            refused.to_string(),
            "must be one of user, admin (given: \"root\")"
        );
    }
}
