//! The commands of the ledger.

use super::names::{Asset, OrderId};
use crate::ids::AccountId;
use crate::money::Number;
use crate::states::{Direction, Side};

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
    /// The reason of the posting: 1 to 50 characters.
    pub reason: String,
    /// The balances that the bot expects.
    pub belief: Belief,
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
    /// The price of one unit of stock in currency.
    pub price: Number,
    /// The exact cost or proceeds from the exchange; `None` for price times volume, rounded once.
    pub quote_amount: Option<Number>,
    /// The fee, in the asset of the account that pays it; not negative.
    pub fee: Number,
    /// The account that pays the fee; `None` for the currency account.
    pub fee_account: Option<AccountId>,
    /// The order whose holds are consumed first.
    pub order: Option<OrderId>,
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
}

/// A command of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Changes the balance of one account.
    Move(Movement),
    /// Settles a trade: all legs or none.
    Trade(Trade),
    /// Increases the hold of an order; the balance does not change.
    Lock(Hold),
    /// Decreases the hold of an order: at most to zero if the order is named, otherwise exactly.
    Unlock(Hold),
    /// Releases the rest of an order's hold, because the order was cancelled or failed.
    Release {
        /// The account with the hold.
        account: AccountId,
        /// The order whose hold is released.
        order: OrderId,
    },
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
            | Self::Lock(Hold { account, .. })
            | Self::Unlock(Hold { account, .. })
            | Self::Release { account, .. } => vec![*account],
            Self::Trade(trade) => {
                let mut accounts = vec![trade.stock_account, trade.currency_account];
                accounts.extend(trade.fee_account);
                accounts.sort_unstable();
                accounts.dedup();
                accounts
            }
            Self::Record { account } => account.iter().copied().collect(),
        }
    }

    /// Returns the order whose hold the command can change; `Some(None)` is the unnamed hold, `None` no hold at all.
    #[must_use]
    pub fn hold_order(&self) -> Option<Option<&OrderId>> {
        match self {
            Self::Move(Movement { order, .. }) | Self::Trade(Trade { order, .. }) => {
                order.as_ref().map(Some)
            }
            Self::Lock(hold) | Self::Unlock(hold) => Some(hold.order.as_ref()),
            Self::Release { order, .. } => Some(Some(order)),
            Self::Record { .. } => None,
        }
    }

    /// Rounds the amounts half to even to the decimal places of the books.
    #[must_use]
    pub fn rounded(mut self) -> Self {
        match &mut self {
            Self::Move(Movement { amount, .. })
            | Self::Lock(Hold { amount, .. })
            | Self::Unlock(Hold { amount, .. }) => *amount = amount.rounded(),
            Self::Trade(trade) => {
                trade.volume = trade.volume.rounded();
                trade.fee = trade.fee.rounded();
                trade.quote_amount = trade.quote_amount.as_ref().map(Number::rounded);
            }
            Self::Release { .. } | Self::Record { .. } => {}
        }
        self
    }
}
