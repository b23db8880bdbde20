//! Settles a trade: all its legs or none.

use super::command::Trade;
use super::draft::{Draft, Leg};
use super::rejection::{Rejection, Result};
use crate::ids::AccountId;
use crate::money::{Money, Number};
use crate::states::Side;

pub(super) fn apply(draft: &mut Draft<'_>, trade: &Trade) -> Result<()> {
    draft.expect_asset(trade.stock_account, &trade.stock)?;
    draft.expect_asset(trade.currency_account, &trade.currency)?;
    if trade.stock_account == trade.currency_account {
        return Err(Rejection::SameAccount);
    }

    let figures = Figures::of(trade)?;
    exchange(draft, trade, &figures)?;
    if let Some(account) = trade.separate_fee_account() {
        pay_fee(draft, trade, account)?;
    }

    figures.check_range(trade)
}

/// The figures of a trade on the currency account.
struct Figures {
    /// The cost or proceeds without the fee.
    cost: Number,
    /// The fee the currency account pays.
    included_fee: Number,
    /// The cost plus the fee, or the proceeds less the fee; negative when the fee exceeds the proceeds.
    currency: Number,
    /// The price; `None` when it is out of range.
    price: Option<Money>,
}

impl Figures {
    fn of(trade: &Trade) -> Result<Self> {
        if trade.has_negative_figure() {
            return Err(Rejection::InvalidAmount);
        }

        let cost = match &trade.quote_amount {
            Some(amount) => amount.clone(),
            None => trade.price.times(&trade.volume).rounded(),
        };
        let has_separate_fee = trade.separate_fee_account().is_some();
        let included_fee = match has_separate_fee {
            true => Money::ZERO.into(),
            false => trade.fee.clone(),
        };
        let currency = match trade.side {
            Side::Buy => cost.plus(&included_fee),
            Side::Sell => cost.minus(&included_fee),
        };

        let moves_fee = has_separate_fee && !trade.fee.is_zero();
        if trade.volume.is_zero() && currency.is_zero() && !moves_fee {
            return Err(Rejection::InvalidAmount);
        }
        if trade.has_too_many_places() {
            return Err(Rejection::TooManyDecimals);
        }
        Ok(Self {
            cost,
            included_fee,
            currency,
            price: Money::from_units(trade.price.units_rounded()),
        })
    }

    /// Rejects a price that cannot be stored with its posting, and a cost or fee out of range even if their difference
    /// is in range.
    fn check_range(&self, trade: &Trade) -> Result<()> {
        let fits = |amount: &Number| amount.to_money().is_some();

        if self.price.is_some() && fits(&self.cost) && fits(&trade.fee) {
            return Ok(());
        }
        Err(Rejection::AmountOutOfRange)
    }
}

/// Posts the stock and currency legs.
fn exchange(draft: &mut Draft<'_>, trade: &Trade, figures: &Figures) -> Result<()> {
    let stock = trade.volume.units_rounded();
    let currency = figures.currency.units_rounded();
    let leg = Leg {
        reason: trade.reason,
        order: trade.order.as_ref(),
        price: figures.price,
        quote: Some(&trade.currency),
        fee: None,
    };
    let included_fee = figures.included_fee.to_money();
    let paying_leg = Leg {
        fee: included_fee.filter(|fee| fee.is_positive()),
        ..leg
    };

    match trade.side {
        Side::Buy => {
            draft.credit(trade.stock_account, stock, &leg)?;
            draft.debit(trade.currency_account, currency, &paying_leg)
        }
        Side::Sell => {
            draft.debit(trade.stock_account, stock, &leg)?;
            if figures.currency.is_negative() {
                return Err(Rejection::InsufficientBalance);
            }
            draft.credit(trade.currency_account, currency, &paying_leg)
        }
    }
}

/// Posts a fee that an account other than the currency account pays.
fn pay_fee(draft: &mut Draft<'_>, trade: &Trade, account: AccountId) -> Result<()> {
    let leg = Leg {
        reason: "fee",
        order: trade.order.as_ref(),
        fee: trade.fee.to_money(),
        ..Leg::default()
    };

    draft.debit(account, trade.fee.units_rounded(), &leg)
}

impl Trade {
    fn separate_fee_account(&self) -> Option<AccountId> {
        self.fee_account
            .filter(|account| *account != self.currency_account)
    }

    fn has_negative_figure(&self) -> bool {
        let mut figures = [&self.volume, &self.price, &self.fee]
            .into_iter()
            .chain(&self.quote_amount);
        figures.any(Number::is_negative)
    }

    fn has_too_many_places(&self) -> bool {
        let mut amounts = [&self.volume, &self.fee]
            .into_iter()
            .chain(&self.quote_amount);
        amounts.any(Number::has_too_many_places)
    }
}
