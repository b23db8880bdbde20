//! The commands of the ledger.

use super::account::HoldKey;
use super::names::{Asset, OrderId, Pair};
use super::order::{OrderStep, OrderTerms};
use crate::ids::AccountId;
use crate::money::Number;
use crate::states::{Direction, Side};
use chrono::{DateTime, Utc};
use std::borrow::Cow;

/// The balances that a bot expects. The ledger only reports differences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Belief {
    /// The balance before the movement.
    pub previous_balance: Option<Number>,
    /// The balance after the movement.
    pub new_balance: Option<Number>,
}

/// A credit, debit, deposit or withdrawal of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The account whose balance changes.
    pub account: AccountId,
    /// The asset; must be the account's.
    pub asset: Asset,
    /// Credit or debit.
    pub direction: Direction,
    /// The amount; must be above zero.
    pub amount: Number,
    /// The order whose hold a debit consumes first.
    pub order: Option<OrderId>,
    /// The pair of the order; `None` for the only order with the id.
    pub pair: Option<Pair>,
    /// The reason of the posting: 1 to 50 characters.
    pub reason: String,
    /// The balances that the bot expects.
    pub belief: Belief,
}

/// Maximum number of fees and rebates of a trade.
pub const FEES_MAX: usize = 4;

/// A fee of a trade, or a rebate if its amount is below zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fee {
    /// The account that pays the fee or receives the rebate.
    pub account: AccountId,
    /// The amount, in the account's asset.
    pub amount: Number,
    /// The position in the caller's list `fees`; `None` for the field `fee`.
    pub position: Option<usize>,
}

impl Fee {
    /// Combines the fee of a caller's field `fee` with those of the list `fees`.
    ///
    /// # Errors
    /// Says that there are more than [`FEES_MAX`]; a `fee` of zero does not count.
    pub fn all(
        single: (AccountId, Number),
        listed: Vec<(AccountId, Number)>,
    ) -> Result<Vec<Self>, String> {
        let count = listed.len() + usize::from(!single.1.is_zero());
        if count > FEES_MAX {
            return Err(format!(
                "may have at most {FEES_MAX} entries together with `fee` (given: {count})"
            ));
        }

        let of = |position, (account, amount)| Self {
            account,
            amount,
            position,
        };
        let mut fees = vec![of(None, single)];
        let listed = listed.into_iter().enumerate();
        fees.extend(listed.map(|(at, fee)| of(Some(at), fee)));
        Ok(fees)
    }

    /// Returns the name of the field with the amount, in an event.
    pub(super) fn field(&self) -> Cow<'static, str> {
        match self.position {
            Some(at) => format!("fill.fees[{at}].amount").into(),
            None => "fill.fee".into(),
        }
    }
}

/// A trade with all its legs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Buy or sell.
    pub side: Side,
    /// The reason of the trade legs: `long`, `short` or `stop_loss`.
    pub reason: &'static str,
    /// The account of the base asset.
    pub stock_account: AccountId,
    /// The base asset; must be the stock account's.
    pub stock: Asset,
    /// The account of the quote asset.
    pub currency_account: AccountId,
    /// The quote asset; must be the currency account's.
    pub currency: Asset,
    /// The traded amount of the base asset.
    pub volume: Number,
    /// The price of one unit of stock in currency; zero beside a quote amount means that none is given.
    pub price: Number,
    /// The exact cost or proceeds from the exchange; `None` for price times volume, rounded once.
    pub quote_amount: Option<Number>,
    /// At most [`FEES_MAX`] fees and rebates.
    pub fees: Vec<Fee>,
    /// The order, whose holds are consumed first.
    pub order: Option<OrderId>,
    /// The terms of the order, if the caller reports them.
    pub terms: Option<OrderTerms>,
    /// Whether the caller reports that nothing of the order is left.
    pub ends_order: bool,
}

/// A report about an order that moves no money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderEvent {
    /// The account of the report, which must exist and belong to the trading.
    pub account: Option<AccountId>,
    /// The order's id at the exchange.
    pub order: OrderId,
    /// The pair.
    pub pair: Pair,
    /// Buy or sell.
    pub side: Side,
    /// The terms.
    pub terms: OrderTerms,
    /// The step of the order.
    pub step: OrderStep,
}

/// An amount to lock or unlock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The account whose hold changes.
    pub account: AccountId,
    /// The asset; must be the account's.
    pub asset: Asset,
    /// The amount; must be above zero.
    pub amount: Number,
    /// The order; `None` is the unnamed hold.
    pub order: Option<OrderId>,
    /// The pair of the order; `None` for the only order with the id.
    pub pair: Option<Pair>,
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// What it locks.
    pub hold: Hold,
    /// When the whole hold is released by itself; `None` for never. The last lock decides.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A hold to release completely, whatever it locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The account of the hold.
    pub account: AccountId,
    /// The hold.
    pub hold: HoldKey,
}

/// A command of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Changes the balance of one account.
    Move(Movement),
    /// Settles a trade: all legs or none.
    Trade(Trade),
    /// Increases the hold of an order; the balance does not change.
    Lock(Lock),
    /// Decreases the hold of an order: at most to zero if the order is named, otherwise exactly.
    Unlock(Hold),
    /// Decreases one hold to zero.
    Release(Release),
    /// Records a step of an order. One that ends releases what it holds, on all accounts.
    Order(OrderEvent),
    /// Changes no balance; a named account must exist and belong to the trading.
    Record {
        /// The account of the record, if any.
        account: Option<AccountId>,
    },
}

impl Command {
    /// Returns the accounts of the command without duplicates.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountId> {
        match self {
            Self::Move(Movement { account, .. })
            | Self::Lock(Lock {
                hold: Hold { account, .. },
                ..
            })
            | Self::Unlock(Hold { account, .. })
            | Self::Release(Release { account, .. }) => vec![*account],
            Self::Trade(trade) => {
                let mut accounts = vec![trade.stock_account, trade.currency_account];
                accounts.extend(trade.fees.iter().map(|fee| fee.account));
                accounts.sort_unstable();
                accounts.dedup();
                accounts
            }
            Self::Order(OrderEvent { account, .. }) | Self::Record { account } => {
                account.iter().copied().collect()
            }
        }
    }

    /// Returns the order that the command names.
    #[must_use]
    pub const fn order(&self) -> Option<&OrderId> {
        match self {
            Self::Move(Movement { order, .. })
            | Self::Trade(Trade { order, .. })
            | Self::Lock(Lock {
                hold: Hold { order, .. },
                ..
            })
            | Self::Unlock(Hold { order, .. })
            | Self::Release(Release {
                hold: HoldKey { order, .. },
                ..
            }) => order.as_ref(),
            Self::Order(OrderEvent { order, .. }) => Some(order),
            Self::Record { .. } => None,
        }
    }

    /// Returns the fees that the account would pay; `None` if there are none.
    #[must_use]
    pub fn fee_of(&self, account: AccountId) -> Option<Number> {
        let Self::Trade(trade) = self else {
            return None;
        };
        let fees = trade.fees.iter().filter(|fee| fee.account == account);

        let charged = fees.filter(|fee| fee.amount.is_positive());
        charged
            .map(|fee| fee.amount.rounded())
            .reduce(|sum, fee| sum.plus(&fee))
    }

    /// Returns whether the command can change the hold of locks that named no order.
    #[must_use]
    pub const fn is_of_unnamed_hold(&self) -> bool {
        match self {
            Self::Lock(_) | Self::Unlock(_) | Self::Release(_) => self.order().is_none(),
            Self::Move(_) | Self::Trade(_) | Self::Order(_) | Self::Record { .. } => false,
        }
    }

    /// Returns whether the command can end its order, which releases the holds of the order on all accounts.
    #[must_use]
    pub const fn can_end_order(&self) -> bool {
        match self {
            Self::Trade(Trade { order, .. }) => order.is_some(),
            Self::Order(OrderEvent { .. }) => true,
            Self::Move(_)
            | Self::Lock(_)
            | Self::Unlock(_)
            | Self::Release(_)
            | Self::Record { .. } => false,
        }
    }
}
