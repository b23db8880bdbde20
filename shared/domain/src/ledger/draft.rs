//! An effect in the making: how single steps change accounts, and which of them are refused.

use super::account::Account;
use super::book::Book;
use super::command::Belief;
use super::effect::{Drift, Effect, HoldChange, Posting};
use super::names::{Asset, OrderId};
use super::rejection::Rejection;
use crate::ids::AccountId;
use crate::money::{Money, Number};
use crate::states::Direction;

/// What the postings of one leg have in common.
#[derive(Clone, Copy, Default)]
pub(super) struct Leg<'a> {
    pub(super) reason: &'a str,
    pub(super) order: Option<&'a OrderId>,
    pub(super) price: Option<Money>,
    pub(super) quote: Option<&'a Asset>,
    pub(super) fee: Option<Money>,
}

/// An effect in the making. A figure out of range is told only by [`Draft::finish`], because a shortage comes first
/// in the precedence of the rejections.
pub(super) struct Draft<'a> {
    book: &'a Book,
    effect: Effect,
    /// Accounts whose figures left the range and cannot be compared with any more.
    out_of_range: Vec<AccountId>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(book: &'a Book) -> Self {
        Self {
            book,
            effect: Effect::default(),
            out_of_range: Vec::new(),
        }
    }

    /// The account as the draft has it now.
    pub(super) fn account(&self, id: AccountId) -> Result<&Account, Rejection> {
        let changed = self.effect.accounts.iter().find(|account| account.id == id);
        changed
            .or_else(|| self.book.get(id))
            .ok_or(Rejection::UnknownSubAccount)
    }

    fn account_mut(&mut self, id: AccountId) -> Result<&mut Account, Rejection> {
        let changed = &mut self.effect.accounts;

        let at = match changed.iter().position(|account| account.id == id) {
            Some(at) => at,
            None => {
                let account = self.book.get(id).ok_or(Rejection::UnknownSubAccount)?;
                changed.push(account.clone());
                changed.len() - 1
            }
        };
        Ok(&mut changed[at])
    }

    pub(super) fn expect_asset(&self, id: AccountId, asset: &Asset) -> Result<(), Rejection> {
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

    pub(super) fn credit(
        &mut self,
        id: AccountId,
        units: i128,
        leg: &Leg<'_>,
    ) -> Result<(), Rejection> {
        self.post(id, Direction::Credit, units, leg)
    }

    /// Takes `units` out of the hold of the leg's order first, then out of what is available.
    pub(super) fn debit(
        &mut self,
        id: AccountId,
        units: i128,
        leg: &Leg<'_>,
    ) -> Result<(), Rejection> {
        let account = self.account(id)?;
        let held = leg
            .order
            .map_or(Money::ZERO, |order| account.hold(Some(order)))
            .units();
        if units > account.available().units() + held && !self.out_of_range.contains(&id) {
            return Err(Rejection::InsufficientBalance);
        }

        let consumed = held.min(units);
        if consumed > 0 {
            self.set_hold(id, leg.order, held - consumed)?;
        }
        self.post(id, Direction::Debit, units, leg)
    }

    fn post(
        &mut self,
        id: AccountId,
        direction: Direction,
        units: i128,
        leg: &Leg<'_>,
    ) -> Result<(), Rejection> {
        let balance = self.account(id)?.balance.units();
        if units == 0 {
            return Ok(());
        }
        let closing = match direction {
            Direction::Credit => balance + units,
            Direction::Debit => balance - units,
        };
        let amount = self.money(id, units);
        let closing_balance = self.money(id, closing);

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

    pub(super) fn lock(
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

    /// Shrinks a hold by the amount `said`, of so many units; what a named hold lacks is reported as drift.
    pub(super) fn unlock(
        &mut self,
        id: AccountId,
        order: Option<&OrderId>,
        units: i128,
        said: &Number,
    ) -> Result<(), Rejection> {
        let held = self.account(id)?.hold(order);
        let remaining = (held.units() - units).max(0);

        if units > held.units() {
            if order.is_none() {
                return Err(Rejection::UnlockExceedsLocked);
            }
            self.effect.drift.push(Drift {
                field: "amount",
                amount: said.minus(&held.into()),
            });
        }
        if held == Money::ZERO {
            return Ok(());
        }
        self.set_hold(id, order, remaining)
    }

    pub(super) fn release(&mut self, id: AccountId, order: &OrderId) -> Result<(), Rejection> {
        if self.account(id)?.hold(Some(order)) == Money::ZERO {
            return Ok(());
        }

        self.set_hold(id, Some(order), 0)
    }

    /// Notes where a belief differs from the books, after rounding it to the places they have.
    pub(super) fn compare(&mut self, belief: &Belief, before: Money, after: Money) {
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

    pub(super) fn finish(self) -> Result<Effect, Rejection> {
        if self.out_of_range.is_empty() {
            Ok(self.effect)
        } else {
            Err(Rejection::AmountOutOfRange)
        }
    }
}
