//! The effect of a command: postings, changed holds and the new account states.

use super::account::{Account, Held, HoldKey};
use super::names::Asset;
use super::order::Order;
use crate::ids::AccountId;
use crate::money::{Money, Number, Price};
use crate::states::{Direction, DriftKind};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The new state of one hold; an amount of zero removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldChange {
    /// The account with the hold.
    pub account: AccountId,
    /// The order and its pair.
    pub key: HoldKey,
    /// What it locks now.
    pub held: Held,
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
    /// The reason of the movement or trade, `fee`, or `rebate`.
    pub reason: String,
    /// The balance after the posting.
    pub closing_balance: Money,
    /// The number of the posting on the account, from 1 without gaps.
    pub sequence: i64,
    /// The price of a trade as given, or by its figures when none was given.
    pub price: Option<Price>,
    /// The asset of the price.
    pub quote: Option<Asset>,
    /// The fee within the amount, in the account's asset: added to the cost of a purchase, deducted from the proceeds of
    /// a sale, or the whole amount of a `fee` posting. `None` without a fee, and for a `rebate` posting.
    pub fee: Option<Money>,
}

/// A difference between an event and the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// What differs.
    pub kind: DriftKind,
    /// The field of the event with the caller's figure; for a difference of an order the name of its kind.
    pub field: Cow<'static, str>,
    /// The caller's figure minus the booked one; for a difference of an order the amount that is wrong.
    pub amount: Number,
}

/// The effect of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The postings in order.
    pub postings: Vec<Posting>,
    /// The changed holds.
    pub holds: Vec<HoldChange>,
    /// The new figures of every changed account, without its holds.
    pub accounts: Vec<Account>,
    /// The complete new state of every changed order, the last one of each counts.
    pub orders: Vec<Order>,
    /// Differences to report, which never cause a rejection.
    pub drift: Vec<Drift>,
}

impl Effect {
    /// Returns the kinds of drift, each once.
    #[must_use]
    pub fn drift_kinds(&self) -> BTreeSet<DriftKind> {
        self.drift.iter().map(|drift| drift.kind).collect()
    }
}
