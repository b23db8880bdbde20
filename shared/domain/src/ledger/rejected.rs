//! A rejection with what its caller needs to mend the command.

use super::names::Asset;
use super::rejection::Rejection;
use crate::ids::AccountId;
use crate::money::{Money, Number};
use std::fmt;

pub(super) type Result<T> = std::result::Result<T, Rejected>;

/// The reason why a command was rejected, with details about the accounts that the command names.
///
/// Its text contains amounts of the owner: it is for the owner and never for a log of the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The reason.
    pub rejection: Rejection,
    /// Boxed, because a result of the ledger would be large otherwise.
    details: Option<Box<Details>>,
}

/// The details of a rejection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Details {
    /// The account that the command names. Nothing else is known of it: it may be another user's.
    Account(AccountId),
    /// The symbol of the command and the asset of its account differ.
    Symbol {
        /// The account.
        account: AccountId,
        /// The asset of the account.
        asset: Asset,
        /// The asset that the command names.
        given: Asset,
    },
    /// The amount that the command names is not above zero.
    Amount {
        /// The account.
        account: AccountId,
        /// The asset of the amount.
        asset: Asset,
        /// The amount as given.
        given: Number,
    },
    /// The account has too little.
    Shortage {
        /// The account.
        account: AccountId,
        /// The asset of the account.
        asset: Asset,
        /// The amount that the command needs.
        needed: Number,
        /// The amount that the command may use: the available balance with the hold of its order, or the hold that it
        /// releases.
        available: Money,
    },
}

impl Rejected {
    /// Adds details to a rejection.
    #[must_use]
    pub fn with(rejection: Rejection, details: Details) -> Self {
        Self {
            rejection,
            details: Some(Box::new(details)),
        }
    }

    /// Returns the rejection of an amount that is not above zero.
    #[must_use]
    pub fn of_amount(account: AccountId, asset: &Asset, given: &Number) -> Self {
        let details = Details::Amount {
            account,
            asset: asset.clone(),
            given: given.clone(),
        };
        Self::with(Rejection::InvalidAmount, details)
    }

    /// Adds the account that the command names.
    #[must_use]
    pub fn of_account(rejection: Rejection, account: AccountId) -> Self {
        Self::with(rejection, Details::Account(account))
    }

    /// Returns the details, if there are any.
    #[must_use]
    pub fn details(&self) -> Option<&Details> {
        self.details.as_deref()
    }
}

impl From<Rejection> for Rejected {
    fn from(rejection: Rejection) -> Self {
        Self {
            rejection,
            details: None,
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.details {
            Some(details) => write!(f, "{}: {details}", self.rejection),
            None => self.rejection.fmt(f),
        }
    }
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => write!(f, "sub-account {account}"),
            Self::Symbol {
                account,
                asset,
                given,
            } => write!(f, "sub-account {account} is in {asset}, not in {given}"),
            Self::Amount {
                account,
                asset,
                given,
            } => write!(f, "{given} {asset} given for sub-account {account}"),
            Self::Shortage {
                account,
                asset,
                needed,
                available,
            } => write!(
                f,
                "{needed} {asset} needed on sub-account {account}, {available} available"
            ),
        }
    }
}
