//! The reasons why the ledger rejects a command.

use crate::text_enum::text_enum;

text_enum! {
    /// The reasons in the order of their precedence: when several apply, the first one is returned.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
    pub enum Rejection;

    /// Returns the stable code, equal over REST and in dead letters.
    pub fn code {
        /// The user is deleted.
        #[error("the user is deleted")]
        UserDeleted = "USER_DELETED",
        /// The trading is deleted or is being deleted.
        #[error("the trading is deleted")]
        TradingDeleted = "TRADING_DELETED",
        /// The sub-account is deleted.
        #[error("the sub-account is deleted")]
        AccountDeleted = "ACCOUNT_DELETED",
        /// The user does not exist.
        #[error("the user does not exist")]
        UnknownUser = "UNKNOWN_USER",
        /// The user is disabled.
        #[error("the user is disabled")]
        UserDisabled = "USER_DISABLED",
        /// The trading does not exist.
        #[error("the trading does not exist")]
        UnknownTrading = "UNKNOWN_TRADING",
        /// The sub-account does not exist.
        #[error("the sub-account does not exist")]
        UnknownSubAccount = "UNKNOWN_SUB_ACCOUNT",
        /// The account, trading and user do not belong together.
        #[error("sub-account, trading and user do not belong together")]
        OwnershipMismatch = "OWNERSHIP_MISMATCH",
        /// The symbol is not the account's.
        #[error("the symbol is not the sub-account's")]
        SymbolMismatch = "SYMBOL_MISMATCH",
        /// A trade needs two different accounts.
        #[error("stock account and currency account are the same")]
        SameAccount = "SAME_ACCOUNT",
        /// An amount is zero or negative where it must be positive, or rounds to zero.
        #[error("an amount must be above zero, a volume or a price not below zero")]
        InvalidAmount = "INVALID_AMOUNT",
        /// The amount exceeds the available balance.
        #[error("the available balance is too small")]
        InsufficientBalance = "INSUFFICIENT_BALANCE",
        /// The amount to unlock exceeds the hold.
        #[error("the amount to unlock is more than the hold")]
        UnlockExceedsLocked = "UNLOCK_EXCEEDS_LOCKED",
        /// An amount or a balance would have more than twenty integer digits.
        #[error("an amount or a balance would have more than 20 integer digits")]
        AmountOutOfRange = "AMOUNT_OUT_OF_RANGE",
        /// The order id would be used on too many pairs, or the order on too many accounts.
        #[error("an order id is used on at most 100 pairs, and an order on at most 20 sub-accounts")]
        OrderTooLarge = "ORDER_TOO_LARGE",
    }
}

impl Rejection {
    /// Returns whether a retry may succeed, because the resource may be created or enabled later. A deleted one does not
    /// come back.
    #[must_use]
    pub const fn is_unresolved(self) -> bool {
        matches!(
            self,
            Self::UnknownUser | Self::UserDisabled | Self::UnknownTrading | Self::UnknownSubAccount
        )
    }
}
