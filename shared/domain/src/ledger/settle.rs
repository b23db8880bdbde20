//! How a trade is settled: all its legs or none.

use super::command::Trade;
use super::draft::{Draft, Leg};
use super::rejection::Rejection;
use crate::ids::AccountId;
use crate::money::{Money, Number};
use crate::states::Side;

pub(super) fn apply(draft: &mut Draft<'_>, trade: &Trade) -> Result<(), Rejection> {
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

/// What a trade moves on the currency account.
struct Figures {
    /// Cost or proceeds without a fee.
    cost: Number,
    /// The fee the currency account pays.
    included_fee: Number,
    /// Cost with the fee, or proceeds less the fee; negative when the fee is the larger.
    currency: Number,
    /// The price, when it fits the books.
    price: Option<Money>,
}

impl Figures {
    fn of(trade: &Trade) -> Result<Self, Rejection> {
        if trade.has_negative_figure() {
            return Err(Rejection::InvalidAmount);
        }

        let cost = match &trade.quote_amount {
            Some(amount) => amount.clone(),
            None => trade.price.times(&trade.volume).rounded(),
        };
        let has_separate_fee = trade.separate_fee_account().is_some();
        let included_fee = if has_separate_fee {
            Money::ZERO.into()
        } else {
            trade.fee.clone()
        };
        let currency = match trade.side {
            Side::Buy => cost.plus(&included_fee),
            Side::Sell => cost.minus(&included_fee),
        };

        let moves_fee = has_separate_fee && !trade.fee.is_zero();
        if trade.volume.is_zero() && currency.is_zero() && !moves_fee {
            return Err(Rejection::InvalidAmount);
        }
        if trade.moves_too_finely() {
            return Err(Rejection::TooManyDecimals);
        }
        Ok(Self {
            cost,
            included_fee,
            currency,
            price: Money::from_units(trade.price.units_rounded()),
        })
    }

    /// A price beyond the books could not be stored beside its posting; proceeds and a fee beyond them are nonsense
    /// even where their difference is in range.
    fn check_range(&self, trade: &Trade) -> Result<(), Rejection> {
        let fits = |amount: &Number| amount.to_money().is_some();

        if self.price.is_some() && fits(&self.cost) && fits(&trade.fee) {
            Ok(())
        } else {
            Err(Rejection::AmountOutOfRange)
        }
    }
}

/// Posts stock against currency.
fn exchange(draft: &mut Draft<'_>, trade: &Trade, figures: &Figures) -> Result<(), Rejection> {
    let stock = trade.volume.units_rounded();
    let currency = figures.currency.units_rounded();
    let leg = Leg {
        reason: trade.reason,
        order: trade.order.as_ref(),
        price: figures.price,
        quote: Some(&trade.currency),
        fee: None,
    };
    let paying_leg = Leg {
        fee: figures
            .included_fee
            .to_money()
            .filter(|fee| fee.is_positive()),
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

/// Posts a fee that another account than the currency account pays.
fn pay_fee(draft: &mut Draft<'_>, trade: &Trade, account: AccountId) -> Result<(), Rejection> {
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
        let figures = [&self.volume, &self.price, &self.fee];

        let mut all = figures.into_iter().chain(&self.quote_amount);
        all.any(Number::is_negative)
    }

    fn moves_too_finely(&self) -> bool {
        let moving = [&self.volume, &self.fee];

        let mut all = moving.into_iter().chain(&self.quote_amount);
        all.any(Number::has_too_many_places)
    }
}
