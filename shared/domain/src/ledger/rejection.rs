//! Why the ledger refuses a command.

use std::fmt;

/// The named refusals, in the order of their precedence: when several apply, the first one is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    /// No such user, or a deleted one.
    UnknownUser,
    /// The user is disabled.
    UserDisabled,
    /// No such trading, or one that is deleted or being deleted.
    UnknownTrading,
    /// No such sub-account, or a deleted one.
    UnknownSubAccount,
    /// Account, trading and user do not belong together.
    OwnershipMismatch,
    /// The symbol named is not the account's.
    SymbolMismatch,
    /// A trade needs two different accounts.
    SameAccount,
    /// An amount is zero or negative where it must be positive, or nothing is left of it after rounding.
    InvalidAmount,
    /// An amount that moves has more than twelve decimal places.
    TooManyDecimals,
    /// More is asked for than is available.
    InsufficientBalance,
    /// More is unlocked than is held.
    UnlockExceedsLocked,
    /// An amount or a balance would have more than sixteen integer digits.
    AmountOutOfRange,
}

impl Rejection {
    /// All of them, by precedence.
    pub const ALL: [Self; 12] = [
        Self::UnknownUser,
        Self::UserDisabled,
        Self::UnknownTrading,
        Self::UnknownSubAccount,
        Self::OwnershipMismatch,
        Self::SymbolMismatch,
        Self::SameAccount,
        Self::InvalidAmount,
        Self::TooManyDecimals,
        Self::InsufficientBalance,
        Self::UnlockExceedsLocked,
        Self::AmountOutOfRange,
    ];

    /// The stable code, equal over REST and in dead letters.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownUser => "UNKNOWN_USER",
            Self::UserDisabled => "USER_DISABLED",
            Self::UnknownTrading => "UNKNOWN_TRADING",
            Self::UnknownSubAccount => "UNKNOWN_SUB_ACCOUNT",
            Self::OwnershipMismatch => "OWNERSHIP_MISMATCH",
            Self::SymbolMismatch => "SYMBOL_MISMATCH",
            Self::SameAccount => "SAME_ACCOUNT",
            Self::InvalidAmount => "INVALID_AMOUNT",
            Self::TooManyDecimals => "TOO_MANY_DECIMALS",
            Self::InsufficientBalance => "INSUFFICIENT_BALANCE",
            Self::UnlockExceedsLocked => "UNLOCK_EXCEEDS_LOCKED",
            Self::AmountOutOfRange => "AMOUNT_OUT_OF_RANGE",
        }
    }

    /// Whether it may pass by itself, because what is named may be created or enabled later.
    #[must_use]
    pub const fn is_unresolved(self) -> bool {
        matches!(
            self,
            Self::UnknownUser | Self::UserDisabled | Self::UnknownTrading | Self::UnknownSubAccount
        )
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownUser => "the user does not exist",
            Self::UserDisabled => "the user is disabled",
            Self::UnknownTrading => "the trading does not exist or is deleted",
            Self::UnknownSubAccount => "the sub-account does not exist or is deleted",
            Self::OwnershipMismatch => "sub-account, trading and user do not belong together",
            Self::SymbolMismatch => "the symbol is not that of the sub-account",
            Self::SameAccount => "stock account and currency account are the same",
            Self::InvalidAmount => "the amount must be above zero (a fee or a price not below it)",
            Self::TooManyDecimals => "an amount that moves has at most 12 decimal places",
            Self::InsufficientBalance => "the available balance is too small",
            Self::UnlockExceedsLocked => "more would be unlocked than is held",
            Self::AmountOutOfRange => {
                "an amount or a balance would have more than 16 integer digits"
            }
        })
    }
}
