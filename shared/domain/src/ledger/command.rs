//! What can be asked of the ledger.

use super::names::{Asset, OrderId};
use crate::ids::AccountId;
use crate::money::Number;
use crate::states::{Direction, Side};

/// What a bot believed a balance to be; it is compared, never obeyed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Belief {
    /// Before the movement.
    pub previous_balance: Option<Number>,
    /// After it.
    pub new_balance: Option<Number>,
}

/// A credit, debit, deposit or withdrawal of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The account.
    pub account: AccountId,
    /// The asset the caller thinks the account holds.
    pub asset: Asset,
    /// Credit or debit.
    pub direction: Direction,
    /// How much; must be above zero.
    pub amount: Number,
    /// A debit that names an order consumes that order's hold first.
    pub order: Option<OrderId>,
    /// Reason of the posting: 1 to 50 characters.
    pub reason: String,
    /// What the bot believed.
    pub belief: Belief,
}

/// A trade with all its legs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Buy or sell.
    pub side: Side,
    /// Reason of the trade legs: `long`, `short` or `stop_loss`.
    pub reason: &'static str,
    /// The account of the base asset.
    pub stock_account: AccountId,
    /// The asset the caller thinks it holds.
    pub stock: Asset,
    /// The account of the quote asset.
    pub currency_account: AccountId,
    /// The asset the caller thinks it holds.
    pub currency: Asset,
    /// Traded amount of the base asset.
    pub volume: Number,
    /// Price of one unit of stock in currency.
    pub price: Number,
    /// Exact cost or proceeds when the exchange told it; else price x volume, rounded once.
    pub quote_amount: Option<Number>,
    /// Fee, in the asset of the account that pays it; not negative.
    pub fee: Number,
    /// Who pays the fee when it is not the currency account.
    pub fee_account: Option<AccountId>,
    /// The order whose hold is consumed first.
    pub order: Option<OrderId>,
}

impl Trade {
    fn accounts(&self) -> Vec<AccountId> {
        let mut accounts = vec![self.stock_account, self.currency_account];
        accounts.extend(self.fee_account);
        accounts.sort_unstable();
        accounts.dedup();

        accounts
    }
}

/// Everything the ledger can be asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Moves money of one account.
    Move(Movement),
    /// Settles a trade: all legs or none.
    Trade(Trade),
    /// Grows the hold of an order; the balance never moves.
    Lock {
        /// The account.
        account: AccountId,
        /// The asset the caller thinks it holds.
        asset: Asset,
        /// How much; must be above zero.
        amount: Number,
        /// The order; `None` is the unnamed hold.
        order: Option<OrderId>,
    },
    /// Shrinks the hold of an order: at most to nothing when the order is named, else exactly.
    Unlock {
        /// The account.
        account: AccountId,
        /// The asset the caller thinks it holds.
        asset: Asset,
        /// How much; must be above zero.
        amount: Number,
        /// The order; `None` is the unnamed hold.
        order: Option<OrderId>,
    },
    /// Releases what is left of an order's hold: it was cancelled or it failed.
    Release {
        /// The account.
        account: AccountId,
        /// The order.
        order: OrderId,
    },
    /// Moves nothing; a named account must exist and belong to the trading.
    Record {
        /// The account the record is about, if any.
        account: Option<AccountId>,
    },
}

impl Command {
    /// The accounts the command touches or names, without repetition.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountId> {
        match self {
            Self::Move(Movement { account, .. })
            | Self::Lock { account, .. }
            | Self::Unlock { account, .. }
            | Self::Release { account, .. } => vec![*account],
            Self::Trade(trade) => trade.accounts(),
            Self::Record { account } => account.iter().copied().collect(),
        }
    }

    /// The order whose hold the command can change; `Some(None)` is the unnamed hold, `None` no hold at all.
    #[must_use]
    pub fn hold_order(&self) -> Option<Option<&OrderId>> {
        match self {
            Self::Move(movement) => movement.order.as_ref().map(Some),
            Self::Trade(trade) => trade.order.as_ref().map(Some),
            Self::Lock { order, .. } | Self::Unlock { order, .. } => Some(order.as_ref()),
            Self::Release { order, .. } => Some(Some(order)),
            Self::Record { .. } => None,
        }
    }

    /// The same command with every amount that moves rounded half to even to the places of the books.
    #[must_use]
    pub fn rounded(mut self) -> Self {
        match &mut self {
            Self::Move(movement) => movement.amount = movement.amount.rounded(),
            Self::Trade(trade) => {
                trade.volume = trade.volume.rounded();
                trade.fee = trade.fee.rounded();
                trade.quote_amount = trade.quote_amount.as_ref().map(Number::rounded);
            }
            Self::Lock { amount, .. } | Self::Unlock { amount, .. } => *amount = amount.rounded(),
            Self::Release { .. } | Self::Record { .. } => {}
        }
        self
    }
}
