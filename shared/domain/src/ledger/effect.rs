//! What a command does: postings, changed holds, and the new account states.

use super::account::Account;
use super::names::{Asset, OrderId};
use crate::ids::AccountId;
use crate::money::{Money, Number};
use crate::states::Direction;

/// The new amount of one hold; zero removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldChange {
    /// The account.
    pub account: AccountId,
    /// The order; `None` is the unnamed hold.
    pub order: Option<OrderId>,
    /// What is held now.
    pub amount: Money,
}

/// One change of one balance: a row of `transactions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The account.
    pub account: AccountId,
    /// Credit or debit.
    pub direction: Direction,
    /// How much, above zero.
    pub amount: Money,
    /// Why: the reason of the movement or trade, or `fee`.
    pub reason: String,
    /// The balance after it.
    pub closing_balance: Money,
    /// Its number on the account, without gaps from 1.
    pub sequence: i64,
    /// Price of a trade, rounded for storage.
    pub price: Option<Money>,
    /// Asset the price is in.
    pub quote: Option<Asset>,
    /// What a fee took of it, in the account's asset: a purchase paid it on top, a sale got so much less, and a posting
    /// `fee` is all fee. `None` when no fee was taken here.
    pub fee: Option<Money>,
}

/// A difference between what the caller said and what the books say: caller's figure minus ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The field of the event.
    pub field: &'static str,
    /// The difference.
    pub amount: Number,
}

/// What a command does: new account states and how they came about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Postings in order.
    pub postings: Vec<Posting>,
    /// Holds that changed.
    pub holds: Vec<HoldChange>,
    /// Whole new states of every account that changed.
    pub accounts: Vec<Account>,
    /// Differences to tell; never a reason to refuse.
    pub drift: Vec<Drift>,
}
