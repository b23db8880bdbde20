//! The draft of an effect: the steps that change accounts, and when they are rejected.

use super::account::Account;
use super::book::Book;
use super::command::{Belief, Hold};
use super::effect::{Drift, Effect, HoldChange, Posting};
use super::names::{Asset, OrderId};
use super::rejection::{Rejection, Result};
use crate::ids::AccountId;
use crate::money::Money;
use crate::states::Direction;

/// The details of a posting besides its amount.
#[derive(Clone, Copy, Default)]
pub(super) struct Leg<'a> {
    pub(super) reason: &'a str,
    pub(super) order: Option<&'a OrderId>,
    pub(super) price: Option<Money>,
    pub(super) quote: Option<&'a Asset>,
    pub(super) fee: Option<Money>,
}

/// The draft of an effect. Only [`Draft::finish`] reports figures out of range, because insufficient balance has
/// precedence over them.
pub(super) struct Draft<'a> {
    book: &'a Book,
    effect: Effect,
    /// Accounts whose figures are out of range, so that comparisons with them are meaningless.
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

    /// Returns an account in its drafted state.
    pub(super) fn account(&self, id: AccountId) -> Result<&Account> {
        let changed = self.effect.accounts.iter().find(|account| account.id == id);
        changed
            .or_else(|| self.book.get(id))
            .ok_or(Rejection::UnknownSubAccount)
    }

    fn account_mut(&mut self, id: AccountId) -> Result<&mut Account> {
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

    pub(super) fn expect_asset(&self, id: AccountId, asset: &Asset) -> Result<()> {
        if self.account(id)?.asset == *asset {
            Ok(())
        } else {
            Err(Rejection::SymbolMismatch)
        }
    }

    /// Converts a figure of an account; out of range it is zero and recorded for [`Draft::finish`].
    fn money(&mut self, id: AccountId, units: i128) -> Money {
        Money::from_units(units).unwrap_or_else(|| {
            self.out_of_range.push(id);
            Money::ZERO
        })
    }

    pub(super) fn credit(&mut self, id: AccountId, units: i128, leg: &Leg<'_>) -> Result<()> {
        self.post(id, units, leg)
    }

    /// Debits `units` from the hold of the leg's order first, then from the available balance.
    pub(super) fn debit(&mut self, id: AccountId, units: i128, leg: &Leg<'_>) -> Result<()> {
        let account = self.account(id)?;
        let hold = leg.order.map(|order| account.hold(Some(order)));
        let held = hold.unwrap_or_default().units();

        if units > account.available().units() + held && !self.out_of_range.contains(&id) {
            return Err(Rejection::InsufficientBalance);
        }

        let consumed = held.min(units);
        if consumed > 0 {
            self.set_hold(id, leg.order, held - consumed)?;
        }
        self.post(id, -units, leg)
    }

    /// Adds `change` units to a balance; nothing when it is zero.
    fn post(&mut self, id: AccountId, change: i128, leg: &Leg<'_>) -> Result<()> {
        let balance = self.account(id)?.balance.units();
        let direction = match change {
            0 => return Ok(()),
            1.. => Direction::Credit,
            _ => Direction::Debit,
        };
        let amount = self.money(id, change.abs());
        let closing_balance = self.money(id, balance + change);

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

    /// Sets the hold of an order and updates the account's sum of holds.
    fn set_hold(&mut self, id: AccountId, order: Option<&OrderId>, units: i128) -> Result<()> {
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

    /// Increases a hold by its amount of `units`.
    pub(super) fn lock(&mut self, hold: &Hold, units: i128) -> Result<()> {
        let account = self.account(hold.account)?;
        if units > account.available().units() {
            return Err(Rejection::InsufficientBalance);
        }

        let order = hold.order.as_ref();
        let held = account.hold(order).units();
        self.set_hold(hold.account, order, held + units)
    }

    /// Decreases a hold by its amount of `units`; the part that a named hold lacks is reported as drift.
    pub(super) fn unlock(&mut self, hold: &Hold, units: i128) -> Result<()> {
        let order = hold.order.as_ref();
        let held = self.account(hold.account)?.hold(order);
        let remaining = (held.units() - units).max(0);

        if units > held.units() {
            if order.is_none() {
                return Err(Rejection::UnlockExceedsLocked);
            }
            self.effect.drift.push(Drift {
                field: "amount",
                amount: hold.amount.minus(&held.into()),
            });
        }
        if held == Money::ZERO {
            return Ok(());
        }
        self.set_hold(hold.account, order, remaining)
    }

    pub(super) fn release(&mut self, id: AccountId, order: &OrderId) -> Result<()> {
        if self.account(id)?.hold(Some(order)) == Money::ZERO {
            return Ok(());
        }

        self.set_hold(id, Some(order), 0)
    }

    /// Records differences between a belief, rounded to the places of the books, and the books.
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

    pub(super) fn finish(self) -> Result<Effect> {
        if self.out_of_range.is_empty() {
            Ok(self.effect)
        } else {
            Err(Rejection::AmountOutOfRange)
        }
    }
}
