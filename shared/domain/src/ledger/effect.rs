//! The effect of a command: postings, changed holds and the new account states.

use super::account::Account;
use super::names::{Asset, OrderId};
use crate::ids::AccountId;
use crate::money::{Money, Number};
use crate::states::Direction;

/// The new amount of one hold; zero removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldChange {
    /// The account with the hold.
    pub account: AccountId,
    /// The order; `None` is the unnamed hold.
    pub order: Option<OrderId>,
    /// The amount held now.
    pub amount: Money,
}

/// A change of one balance, a row of `transactions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The account whose balance changes.
    pub account: AccountId,
    /// Credit or debit.
    pub direction: Direction,
    /// The amount, above zero.
    pub amount: Money,
    /// The reason of the movement or trade, or `fee`.
    pub reason: String,
    /// The balance after the posting.
    pub closing_balance: Money,
    /// The number of the posting on the account, from 1 without gaps.
    pub sequence: i64,
    /// The price of a trade, rounded for storage.
    pub price: Option<Money>,
    /// The asset of the price.
    pub quote: Option<Asset>,
    /// The fee within the amount, in the account's asset: added to the cost of a purchase, deducted from the proceeds of
    /// a sale, or the whole amount of a `fee` posting. `None` without a fee.
    pub fee: Option<Money>,
}

/// A difference between the caller's figure and the books: the former minus the latter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The field of the event with the caller's figure.
    pub field: &'static str,
    /// The difference.
    pub amount: Number,
}

/// The effect of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The postings in order.
    pub postings: Vec<Posting>,
    /// The changed holds.
    pub holds: Vec<HoldChange>,
    /// The complete new state of every changed account.
    pub accounts: Vec<Account>,
    /// Differences to report, which never cause a rejection.
    pub drift: Vec<Drift>,
}
