//! Why the ledger refuses a command.

/// The named refusals, in the order of their precedence: when several apply, the first one is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Rejection {
    /// No such user, or a deleted one.
    #[error("the user does not exist")]
    UnknownUser,
    /// The user is disabled.
    #[error("the user is disabled")]
    UserDisabled,
    /// No such trading, or one that is deleted or being deleted.
    #[error("the trading does not exist or is deleted")]
    UnknownTrading,
    /// No such sub-account, or a deleted one.
    #[error("the sub-account does not exist or is deleted")]
    UnknownSubAccount,
    /// Account, trading and user do not belong together.
    #[error("sub-account, trading and user do not belong together")]
    OwnershipMismatch,
    /// The symbol named is not the account's.
    #[error("the symbol is not that of the sub-account")]
    SymbolMismatch,
    /// A trade needs two different accounts.
    #[error("stock account and currency account are the same")]
    SameAccount,
    /// An amount is zero or negative where it must be positive, or nothing is left of it after rounding.
    #[error("the amount must be above zero (a fee or a price not below it)")]
    InvalidAmount,
    /// An amount that moves has more than twelve decimal places.
    #[error("an amount that moves has at most 12 decimal places")]
    TooManyDecimals,
    /// More is asked for than is available.
    #[error("the available balance is too small")]
    InsufficientBalance,
    /// More is unlocked than is held.
    #[error("more would be unlocked than is held")]
    UnlockExceedsLocked,
    /// An amount or a balance would have more than sixteen integer digits.
    #[error("an amount or a balance would have more than 16 integer digits")]
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
