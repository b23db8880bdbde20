//! The states and kinds that columns, requests, events and metrics share: one enum each, with one spelling.

use std::fmt;

/// A text that is none of the names of a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {} (given: {given:?})", .names.join(", "))]
pub struct UnknownState {
    names: Vec<&'static str>,
    given: String,
}

/// An enum of which every variant has one name.
pub trait State: Copy + Sized + 'static {
    /// All variants, in the order of their declaration.
    const ALL: &'static [Self];

    /// The name in columns, requests, answers, events and metrics.
    fn as_str(self) -> &'static str;

    /// The variant with this name.
    ///
    /// # Errors
    /// [`UnknownState`] when no variant has it.
    fn parse(name: &str) -> Result<Self, UnknownState> {
        let found = Self::ALL.iter().find(|state| state.as_str() == name);

        found.copied().ok_or_else(|| UnknownState {
            names: Self::ALL.iter().map(|state| state.as_str()).collect(),
            given: name.to_owned(),
        })
    }
}

macro_rules! states {
    ($(
        $(#[$doc:meta])*
        $state:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)+ }
    )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $state {
            $($(#[$variant_doc])* $variant,)+
        }

        impl State for $state {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl fmt::Display for $state {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $state {
            type Err = UnknownState;

            fn from_str(name: &str) -> Result<Self, UnknownState> {
                Self::parse(name)
            }
        }

        impl TryFrom<String> for $state {
            type Error = UnknownState;

            fn try_from(name: String) -> Result<Self, UnknownState> {
                Self::parse(&name)
            }
        }

        impl serde::Serialize for $state {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $state {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                Self::parse(&name).map_err(serde::de::Error::custom)
            }
        }
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
