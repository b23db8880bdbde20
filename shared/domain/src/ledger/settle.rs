//! Settles a trade: all its legs or none.

use super::account::HoldKey;
use super::command::Trade;
use super::draft::{Draft, Filled, Leg};
use super::rejected::{Rejected, Result};
use super::rejection::Rejection;
use crate::ids::AccountId;
use crate::money::{Money, Number, Price};
use crate::states::{DriftKind, Side};

/// The reason of a posting that pays a fee on its own.
const FEE: &str = "fee";
/// The reason of a posting that credits a rebate.
const REBATE: &str = "rebate";

pub(super) fn apply(draft: &mut Draft<'_>, trade: &Trade) -> Result<()> {
    draft.expect_asset(trade.stock_account, &trade.stock)?;
    draft.expect_asset(trade.currency_account, &trade.currency)?;
    if trade.stock_account == trade.currency_account {
        let rejection = Rejection::SameAccount;
        return Err(Rejected::of_account(rejection, trade.stock_account));
    }

    let figures = Figures::of(draft, trade)?;
    let holds = match &trade.order {
        Some(order) => draft.usable(order, Some(&trade.pair())),
        None => Vec::new(),
    };
    exchange(draft, trade, &figures, &holds)?;
    charge(draft, &figures, &holds)?;

    // Their sum or difference may be in range although they are not.
    draft.expect_range(trade.currency_account, &figures.value);
    draft.expect_range(trade.currency_account, &figures.included_fee);
    match &trade.order {
        Some(order) => draft.fill(order, trade, &figures.filled(trade)),
        None => Ok(()),
    }
}

/// The figures of a trade, rounded to the places of the books.
struct Figures {
    /// The amount of the stock leg.
    volume: Number,
    /// The cost or proceeds without fees.
    value: Number,
    /// The sum of the fees within the currency leg, which costs of a purchase include and proceeds of a sale exceed.
    included_fee: Number,
    /// The fees that are postings of their own.
    separate_fees: Vec<Charge>,
    /// The rebates, as amounts above zero.
    rebates: Vec<Charge>,
    /// The price as given, or by the figures when none is given.
    price: Option<Price>,
}

/// A fee or rebate of an account.
struct Charge {
    account: AccountId,
    amount: Number,
}

impl Figures {
    fn of(draft: &mut Draft<'_>, trade: &Trade) -> Result<Self> {
        trade.check_figures()?;

        let volume = round(draft, "fill.volume", &trade.volume);
        let value = match &trade.quote_amount {
            Some(amount) => round(draft, "fill.quote_amount", amount),
            None => trade.price.times(&trade.volume).rounded(),
        };
        let price = match &trade.quote_amount {
            Some(_) if trade.price.is_zero() => {
                let exchanged = value.to_money().zip(volume.to_money());
                exchanged.and_then(|(value, volume)| Price::of_exchange(value, volume))
            }
            Some(_) | None => Some(trade.price.clone().into()),
        };
        let mut figures = Self {
            volume,
            value,
            included_fee: Money::ZERO.into(),
            separate_fees: Vec::new(),
            rebates: Vec::new(),
            price,
        };
        figures.assign_fees(draft, trade);

        if figures.move_nothing() {
            let account = trade.stock_account;
            return Err(Rejected::of_amount(account, &trade.stock, &trade.volume));
        }
        Ok(figures)
    }

    /// Divides the fees into those within the currency leg, those with a posting of their own, and rebates.
    fn assign_fees(&mut self, draft: &mut Draft<'_>, trade: &Trade) {
        let mut own_fees = Vec::new();
        for fee in &trade.fees {
            let account = fee.account;
            let amount = round(draft, fee.field(), &fee.amount);

            if amount.is_negative() {
                let amount = amount.negated();
                self.rebates.push(Charge { account, amount });
            } else if amount.is_zero() {
                continue;
            } else if account == trade.currency_account {
                own_fees.push(Charge { account, amount });
            } else {
                self.separate_fees.push(Charge { account, amount });
            }
        }

        let zero = Number::from(Money::ZERO);
        let sum = own_fees.iter().fold(zero, |sum, fee| sum.plus(&fee.amount));
        // Proceeds that do not exceed the fees are booked in full, so that every posting has an amount above zero.
        if trade.side == Side::Sell && sum >= self.value {
            own_fees.append(&mut self.separate_fees);
            self.separate_fees = own_fees;
        } else {
            self.included_fee = sum;
        }
    }

    /// Returns what the order of the trade records.
    fn filled<'a>(&self, trade: &'a Trade) -> Filled<'a> {
        let fees = trade.fees.iter();

        Filled {
            volume: self.volume.to_money().unwrap_or_default(),
            value: self.value.to_money().unwrap_or_default(),
            fees: fees.map(|fee| (fee.account, &fee.amount)).collect(),
        }
    }

    fn move_nothing(&self) -> bool {
        let legs = [&self.volume, &self.value, &self.included_fee];
        let is_free = self.separate_fees.is_empty() && self.rebates.is_empty();

        is_free && legs.into_iter().all(Number::is_zero)
    }
}

/// Rounds a figure of the caller to the places of the books; the difference is drift.
fn round(
    draft: &mut Draft<'_>,
    field: impl Into<std::borrow::Cow<'static, str>>,
    given: &Number,
) -> Number {
    let booked = given.rounded();
    draft.compare(DriftKind::Rounded, field, given, &booked);
    booked
}

/// Posts the stock and currency legs.
fn exchange(
    draft: &mut Draft<'_>,
    trade: &Trade,
    figures: &Figures,
    holds: &[HoldKey],
) -> Result<()> {
    let leg = Leg {
        reason: trade.reason,
        holds: holds.to_vec(),
        price: figures.price.as_ref(),
        quote: figures.price.as_ref().map(|_| &trade.currency),
        fee: None,
    };
    let included_fee = figures.included_fee.to_money();
    let paying_leg = Leg {
        fee: included_fee.filter(|fee| fee.is_positive()),
        ..leg.clone()
    };

    match trade.side {
        Side::Buy => {
            let cost = figures.value.plus(&figures.included_fee);
            draft.credit(trade.stock_account, &figures.volume, &leg)?;
            draft.debit(trade.currency_account, &cost, &paying_leg)
        }
        Side::Sell => {
            let proceeds = figures.value.minus(&figures.included_fee);
            draft.debit(trade.stock_account, &figures.volume, &leg)?;
            draft.credit(trade.currency_account, &proceeds, &paying_leg)
        }
    }
}

/// Posts rebates, then the fees that are not part of the currency leg.
fn charge(draft: &mut Draft<'_>, figures: &Figures, holds: &[HoldKey]) -> Result<()> {
    for rebate in &figures.rebates {
        let leg = Leg {
            reason: REBATE,
            ..Leg::default()
        };
        draft.credit(rebate.account, &rebate.amount, &leg)?;
    }

    for fee in &figures.separate_fees {
        let leg = Leg {
            reason: FEE,
            holds: holds.to_vec(),
            fee: fee.amount.to_money(),
            ..Leg::default()
        };
        draft.debit(fee.account, &fee.amount, &leg)?;
    }
    Ok(())
}

impl Trade {
    /// Fails when a figure is below zero.
    fn check_figures(&self) -> Result<()> {
        if self.volume.is_negative() {
            let account = self.stock_account;
            return Err(Rejected::of_amount(account, &self.stock, &self.volume));
        }

        let figures = std::iter::once(&self.price).chain(&self.quote_amount);
        let negative = figures.into_iter().find(|figure| figure.is_negative());
        negative.map_or(Ok(()), |figure| {
            let account = self.currency_account;
            Err(Rejected::of_amount(account, &self.currency, figure))
        })
    }
}
