//! The decision: what a command does to a book, or why not.

use super::account::Account;
use super::book::Book;
use super::command::{Belief, Command, Movement, Side, Trade};
use super::effect::{Drift, Effect, HoldChange, Posting};
use super::names::{Asset, OrderId};
use super::rejection::Rejection;
use crate::ids::{AccountId, TradingId, UserId};
use crate::money::{Money, Number};
use crate::states::Direction;

/// Whether the accounts named exist and belong to this trading and user.
pub fn check(
    book: &Book,
    user: UserId,
    trading: TradingId,
    accounts: &[AccountId],
) -> Result<(), Rejection> {
    if accounts.iter().any(|id| book.get(*id).is_none()) {
        return Err(Rejection::UnknownSubAccount);
    }
    let belongs = |account: &Account| account.user == user && account.trading == trading;
    if accounts.iter().filter_map(|id| book.get(*id)).all(belongs) {
        Ok(())
    } else {
        Err(Rejection::OwnershipMismatch)
    }
}

/// Decides one command of `user` on `trading`.
pub fn apply(
    book: &Book,
    user: UserId,
    trading: TradingId,
    command: &Command,
) -> Result<Effect, Rejection> {
    check(book, user, trading, &command.accounts())?;
    match command {
        Command::Move(movement) => apply_movement(book, movement),
        Command::Trade(trade) => apply_trade(book, trade),
        Command::Lock {
            account,
            asset,
            amount,
            order,
        } => {
            let mut draft = Draft::new(book);
            draft.expect_asset(*account, asset)?;
            let amount = positive(amount)?;
            draft.lock(*account, order.as_ref(), amount)?;
            draft.finish()
        }
        Command::Unlock {
            account,
            asset,
            amount,
            order,
        } => {
            let mut draft = Draft::new(book);
            draft.expect_asset(*account, asset)?;
            let wanted = positive(amount)?;
            draft.unlock(*account, order.as_ref(), wanted, amount)?;
            draft.finish()
        }
        Command::Release { account, order } => {
            let mut draft = Draft::new(book);
            draft.release(*account, order)?;
            draft.finish()
        }
        Command::Record { .. } => Ok(Effect::default()),
    }
}

fn apply_movement(book: &Book, movement: &Movement) -> Result<Effect, Rejection> {
    let mut draft = Draft::new(book);
    draft.expect_asset(movement.account, &movement.asset)?;
    let amount = positive(&movement.amount)?;
    let before = draft.account(movement.account)?.balance;
    let leg = Leg {
        reason: &movement.reason,
        order: movement.order.as_ref(),
        price: None,
        quote: None,
        fee: None,
    };
    match movement.direction {
        Direction::Credit => draft.credit(movement.account, amount, &leg)?,
        Direction::Debit => draft.debit(movement.account, amount, &leg)?,
    }
    let after = draft.account(movement.account)?.balance;
    draft.compare(&movement.belief, before, after);
    draft.finish()
}

fn apply_trade(book: &Book, trade: &Trade) -> Result<Effect, Rejection> {
    let mut draft = Draft::new(book);
    draft.expect_asset(trade.stock_account, &trade.stock)?;
    draft.expect_asset(trade.currency_account, &trade.currency)?;
    if trade.stock_account == trade.currency_account {
        return Err(Rejection::SameAccount);
    }
    let quote_negative = trade.quote_amount.as_ref().is_some_and(Number::is_negative);
    if trade.volume.is_negative()
        || trade.price.is_negative()
        || trade.fee.is_negative()
        || quote_negative
    {
        return Err(Rejection::InvalidAmount);
    }
    let cost = match &trade.quote_amount {
        Some(amount) => amount.clone(),
        None => trade.price.times(&trade.volume).rounded(),
    };
    let separate_fee = trade
        .fee_account
        .filter(|account| *account != trade.currency_account);
    let included_fee = if separate_fee.is_none() {
        trade.fee.clone()
    } else {
        Money::ZERO.into()
    };
    let currency_leg = match trade.side {
        Side::Buy => cost.plus(&included_fee),
        Side::Sell => cost.minus(&included_fee),
    };
    let moves_fee = separate_fee.is_some() && !trade.fee.is_zero();
    if trade.volume.is_zero() && currency_leg.is_zero() && !moves_fee {
        return Err(Rejection::InvalidAmount);
    }
    if trade.moves_too_finely() {
        return Err(Rejection::TooManyDecimals);
    }
    let price = Money::from_units(trade.price.units_rounded());
    let quote = Some(&trade.currency);
    let leg = Leg {
        reason: trade.reason,
        order: trade.order.as_ref(),
        price,
        quote,
        fee: None,
    };
    let paying_leg = Leg {
        fee: included_fee.to_money().filter(|fee| fee.is_positive()),
        ..leg
    };
    match trade.side {
        Side::Buy => {
            draft.credit(trade.stock_account, trade.volume.units_rounded(), &leg)?;
            draft.debit(
                trade.currency_account,
                currency_leg.units_rounded(),
                &paying_leg,
            )?;
        }
        Side::Sell => {
            draft.debit(trade.stock_account, trade.volume.units_rounded(), &leg)?;
            if currency_leg.is_negative() {
                return Err(Rejection::InsufficientBalance);
            }
            draft.credit(
                trade.currency_account,
                currency_leg.units_rounded(),
                &paying_leg,
            )?;
        }
    }
    if let Some(account) = separate_fee {
        let fee = trade.fee.to_money();
        let leg = Leg {
            reason: "fee",
            order: trade.order.as_ref(),
            price: None,
            quote: None,
            fee,
        };
        draft.debit(account, trade.fee.units_rounded(), &leg)?;
    }
    // A price beyond the books could not be stored beside its posting; proceeds and a fee beyond them are nonsense
    // even where their difference is in range.
    if price.is_none()
        || [&cost, &trade.fee]
            .into_iter()
            .any(|amount| amount.to_money().is_none())
    {
        return Err(Rejection::AmountOutOfRange);
    }
    draft.finish()
}

impl Trade {
    fn moves_too_finely(&self) -> bool {
        let quote = self
            .quote_amount
            .as_ref()
            .is_some_and(Number::has_too_many_places);
        quote || self.volume.has_too_many_places() || self.fee.has_too_many_places()
    }
}

/// Units of an amount that must be above zero and exact.
fn positive(amount: &Number) -> Result<i128, Rejection> {
    if !amount.is_positive() {
        Err(Rejection::InvalidAmount)
    } else if amount.has_too_many_places() {
        Err(Rejection::TooManyDecimals)
    } else {
        Ok(amount.units_rounded())
    }
}

/// What the postings of one leg have in common.
#[derive(Clone, Copy)]
struct Leg<'a> {
    reason: &'a str,
    order: Option<&'a OrderId>,
    price: Option<Money>,
    quote: Option<&'a Asset>,
    fee: Option<Money>,
}

/// An effect in the making. A figure out of range is told only by [`Draft::finish`], because a shortage comes first
/// in the precedence of the rejections.
struct Draft<'a> {
    book: &'a Book,
    effect: Effect,
    /// Accounts whose figures left the range and cannot be compared with any more.
    out_of_range: Vec<AccountId>,
}

impl<'a> Draft<'a> {
    fn new(book: &'a Book) -> Self {
        Self {
            book,
            effect: Effect::default(),
            out_of_range: Vec::new(),
        }
    }

    /// The account as the draft has it now.
    fn account(&self, id: AccountId) -> Result<&Account, Rejection> {
        let changed = self.effect.accounts.iter().find(|account| account.id == id);
        changed
            .or_else(|| self.book.get(id))
            .ok_or(Rejection::UnknownSubAccount)
    }

    fn account_mut(&mut self, id: AccountId) -> Result<&mut Account, Rejection> {
        let at = match self
            .effect
            .accounts
            .iter()
            .position(|account| account.id == id)
        {
            Some(at) => at,
            None => {
                let account = self
                    .book
                    .get(id)
                    .ok_or(Rejection::UnknownSubAccount)?
                    .clone();
                self.effect.accounts.push(account);
                self.effect.accounts.len() - 1
            }
        };
        Ok(&mut self.effect.accounts[at])
    }

    fn expect_asset(&self, id: AccountId, asset: &Asset) -> Result<(), Rejection> {
        if self.account(id)?.asset == *asset {
            Ok(())
        } else {
            Err(Rejection::SymbolMismatch)
        }
    }

    /// A figure of an account as money; out of range it is noted and told at the end.
    fn money(&mut self, id: AccountId, units: i128) -> Money {
        Money::from_units(units).unwrap_or_else(|| {
            self.out_of_range.push(id);
            Money::ZERO
        })
    }

    fn credit(&mut self, id: AccountId, units: i128, leg: &Leg<'_>) -> Result<(), Rejection> {
        let closing = self.account(id)?.balance.units() + units;
        self.post(id, Direction::Credit, units, closing, leg)
    }

    fn debit(&mut self, id: AccountId, units: i128, leg: &Leg<'_>) -> Result<(), Rejection> {
        let account = self.account(id)?;
        let held = leg
            .order
            .map_or(Money::ZERO, |order| account.hold(Some(order)))
            .units();
        if units > account.available().units() + held && !self.out_of_range.contains(&id) {
            return Err(Rejection::InsufficientBalance);
        }
        let closing = account.balance.units() - units;
        let consumed = held.min(units);
        if consumed > 0 {
            self.set_hold(id, leg.order, held - consumed)?;
        }
        self.post(id, Direction::Debit, units, closing, leg)
    }

    fn post(
        &mut self,
        id: AccountId,
        direction: Direction,
        units: i128,
        closing: i128,
        leg: &Leg<'_>,
    ) -> Result<(), Rejection> {
        if units == 0 {
            return Ok(());
        }
        let (amount, closing_balance) = (self.money(id, units), self.money(id, closing));
        let account = self.account_mut(id)?;
        account.balance = closing_balance;
        account.sequence += 1;
        let sequence = account.sequence;
        self.effect.postings.push(Posting {
            account: id,
            direction,
            amount,
            reason: leg.reason.to_owned(),
            closing_balance,
            sequence,
            price: leg.price,
            quote: leg.quote.cloned(),
            fee: leg.fee,
        });
        Ok(())
    }

    /// Sets the hold of an order and the account's sum of holds with it.
    fn set_hold(
        &mut self,
        id: AccountId,
        order: Option<&OrderId>,
        units: i128,
    ) -> Result<(), Rejection> {
        let amount = self.money(id, units);
        let account = self.account(id)?;
        let locked = account.locked.units() - account.hold(order).units() + units;
        let locked = self.money(id, locked);
        let account = self.account_mut(id)?;
        account.locked = locked;
        if amount == Money::ZERO {
            account.holds.remove(&order.cloned());
        } else {
            account.holds.insert(order.cloned(), amount);
        }
        self.effect.holds.push(HoldChange {
            account: id,
            order: order.cloned(),
            amount,
        });
        Ok(())
    }

    fn lock(
        &mut self,
        id: AccountId,
        order: Option<&OrderId>,
        units: i128,
    ) -> Result<(), Rejection> {
        let account = self.account(id)?;
        if units > account.available().units() {
            return Err(Rejection::InsufficientBalance);
        }
        let held = account.hold(order).units();
        self.set_hold(id, order, held + units)
    }

    fn unlock(
        &mut self,
        id: AccountId,
        order: Option<&OrderId>,
        units: i128,
        said: &Number,
    ) -> Result<(), Rejection> {
        let held = self.account(id)?.hold(order).units();
        if units > held {
            if order.is_none() {
                return Err(Rejection::UnlockExceedsLocked);
            }
            let released = Money::from_units(held).unwrap_or_default();
            self.effect.drift.push(Drift {
                field: "amount",
                amount: said.minus(&released.into()),
            });
        }
        if held == 0 {
            return Ok(());
        }
        self.set_hold(id, order, held - units.min(held))
    }

    fn release(&mut self, id: AccountId, order: &OrderId) -> Result<(), Rejection> {
        if self.account(id)?.hold(Some(order)) == Money::ZERO {
            return Ok(());
        }
        self.set_hold(id, Some(order), 0)
    }

    /// Notes where a belief differs from the books, after rounding it to the places they have.
    fn compare(&mut self, belief: &Belief, before: Money, after: Money) {
        let sides = [
            ("previous_balance", &belief.previous_balance, before),
            ("new_balance", &belief.new_balance, after),
        ];
        for (field, believed, actual) in sides {
            if let Some(believed) = believed {
                let amount = believed.rounded().minus(&actual.into());
                if !amount.is_zero() {
                    self.effect.drift.push(Drift { field, amount });
                }
            }
        }
    }

    fn finish(self) -> Result<Effect, Rejection> {
        if self.out_of_range.is_empty() {
            Ok(self.effect)
        } else {
            Err(Rejection::AmountOutOfRange)
        }
    }
}
