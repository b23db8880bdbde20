//! The draft of an effect: the steps that change accounts, and when they are rejected.

mod orders;

pub(super) use orders::Filled;

use super::account::{Account, Held, HoldKey};
use super::book::Book;
use super::command::{Belief, Hold, Lock, Release};
use super::decide::positive;
use super::effect::{Drift, Effect, HoldChange, Posting};
use super::names::Asset;
use super::rejected::{Details, Rejected, Result};
use super::rejection::Rejection;
use crate::ids::{AccountId, TradingId};
use crate::money::{Money, Number, Price};
use crate::states::{Direction, DriftKind};
use chrono::{DateTime, Utc};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The details of a posting besides its amount.
#[derive(Clone, Default)]
pub(super) struct Leg<'a> {
    pub(super) reason: &'a str,
    /// The holds that a debit consumes first, in this order.
    pub(super) holds: Vec<HoldKey>,
    pub(super) price: Option<&'a Price>,
    pub(super) quote: Option<&'a Asset>,
    pub(super) fee: Option<Money>,
}

/// The draft of an effect. Only [`Draft::finish`] reports figures out of range, because insufficient balance has
/// precedence over them.
pub(super) struct Draft<'a> {
    pub(super) book: &'a Book,
    pub(super) trading: TradingId,
    /// The time of the event.
    pub(super) at: DateTime<Utc>,
    pub(super) effect: Effect,
    /// The changed holds of each account.
    holds: BTreeMap<AccountId, BTreeMap<HoldKey, Held>>,
    /// Accounts whose figures are out of range, so that comparisons with them are meaningless.
    out_of_range: Vec<AccountId>,
    /// An order would hold on, or be filled by, more accounts than it may.
    exceeds_accounts: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(book: &'a Book, trading: TradingId, at: DateTime<Utc>) -> Self {
        Self {
            book,
            trading,
            at,
            effect: Effect::default(),
            holds: BTreeMap::new(),
            out_of_range: Vec::new(),
            exceeds_accounts: false,
        }
    }

    /// Returns an account in its drafted state; its holds are those of the book.
    pub(super) fn account(&self, id: AccountId) -> Result<&Account> {
        let changed = self.effect.accounts.iter().find(|account| account.id == id);
        changed
            .or_else(|| self.book.get(id))
            .ok_or_else(|| unknown(id))
    }

    fn account_mut(&mut self, id: AccountId) -> Result<&mut Account> {
        let changed = &mut self.effect.accounts;

        let at = match changed.iter().position(|account| account.id == id) {
            Some(at) => at,
            None => {
                let account = self.book.get(id).ok_or_else(|| unknown(id))?;
                changed.push(account.without_holds());
                changed.len() - 1
            }
        };
        Ok(&mut changed[at])
    }

    /// Returns a hold in its drafted state; zero when there is none.
    fn held(&self, id: AccountId, key: &HoldKey) -> Held {
        let changed = self.holds.get(&id).and_then(|holds| holds.get(key));
        let stored = || self.book.get(id).map(|account| account.held(key));

        changed.copied().or_else(stored).unwrap_or_default()
    }

    /// Returns the amount of a hold in its drafted state.
    pub(super) fn hold(&self, id: AccountId, key: &HoldKey) -> Money {
        self.held(id, key).amount
    }

    pub(super) fn expect_asset(&self, id: AccountId, asset: &Asset) -> Result<()> {
        let account = self.account(id)?;
        if account.asset == *asset {
            return Ok(());
        }

        let details = Details::Symbol {
            account: id,
            asset: account.asset.clone(),
            given: asset.clone(),
        };
        Err(Rejected::with(Rejection::SymbolMismatch, details))
    }

    /// Converts a figure of an account; out of range it is zero and recorded for [`Draft::finish`].
    fn money(&mut self, id: AccountId, units: i128) -> Money {
        Money::from_units(units).unwrap_or_else(|| {
            self.out_of_range.push(id);
            Money::ZERO
        })
    }

    /// Marks a figure of an account as out of range unless the books can hold it.
    pub(super) fn expect_range(&mut self, id: AccountId, amount: &Number) {
        if amount.to_money().is_none() {
            self.out_of_range.push(id);
        }
    }

    /// Credits an amount that is rounded to the places of the books.
    pub(super) fn credit(&mut self, id: AccountId, amount: &Number, leg: &Leg<'_>) -> Result<()> {
        self.post(id, amount.units_rounded(), leg)
    }

    /// Debits an amount that is rounded to the places of the books: from the leg's holds first, then from the available
    /// balance.
    pub(super) fn debit(&mut self, id: AccountId, amount: &Number, leg: &Leg<'_>) -> Result<()> {
        let account = self.account(id)?;
        // At most the balance, as holds are part of it.
        let available = leg.holds.iter().try_fold(account.available(), |sum, key| {
            sum.checked_add(self.hold(id, key))
        });
        let available = available.unwrap_or_default();
        let units = amount.units_rounded();

        if units > available.units() && !self.out_of_range.contains(&id) {
            let rejection = Rejection::InsufficientBalance;
            return Err(shortage(rejection, account, amount, available));
        }

        self.consume(id, &leg.holds, units)?;
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
        let closing_balance = self.money(id, balance.saturating_add(change));

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
            price: leg.price.cloned(),
            quote: leg.quote.cloned(),
            fee: leg.fee,
        });
        Ok(())
    }

    /// Decreases holds by at most `units`, one after the other; returns by how much.
    pub(super) fn consume(
        &mut self,
        id: AccountId,
        holds: &[HoldKey],
        units: i128,
    ) -> Result<i128> {
        let mut left = units;
        for key in holds {
            let held = self.held(id, key);
            let units = held.amount.units();
            let consumed = units.min(left);
            if consumed > 0 {
                self.set_hold(id, key, units - consumed, held.expires_at)?;
                left -= consumed;
            }
        }
        Ok(units - left)
    }

    /// Sets a hold and updates the account's sum of holds.
    fn set_hold(
        &mut self,
        id: AccountId,
        key: &HoldKey,
        units: i128,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<()> {
        let amount = self.money(id, units);
        let held = Held { amount, expires_at };
        let account = self.account(id)?;
        let locked = account.locked.units() - self.hold(id, key).units() + units;
        let locked = self.money(id, locked);

        let account = self.account_mut(id)?;
        account.locked = locked;

        let changed = self.holds.entry(id).or_default();
        changed.insert(key.clone(), held);
        self.effect.holds.push(HoldChange {
            account: id,
            key: key.clone(),
            held,
        });
        Ok(())
    }

    /// Increases a hold, which expires when the lock says.
    pub(super) fn lock(&mut self, lock: &Lock) -> Result<()> {
        let hold = &lock.hold;
        let amount = positive(hold.account, &hold.asset, &hold.amount)?;
        let Some(key) = self.lockable(hold, &amount) else {
            return Ok(());
        };

        let account = self.account(hold.account)?;
        let available = account.available();
        let units = amount.units_rounded();
        if units > available.units() {
            let rejection = Rejection::InsufficientBalance;
            return Err(shortage(rejection, account, &amount, available));
        }

        let held = self.hold(hold.account, &key).units();
        self.compare(DriftKind::Rounded, "amount", &hold.amount, &amount);
        self.set_hold(hold.account, &key, held + units, lock.expires_at)?;
        self.note_lock(hold, &key)
    }

    /// Decreases a hold; the part that a named hold lacks is reported as drift.
    pub(super) fn unlock(&mut self, hold: &Hold) -> Result<()> {
        let amount = positive(hold.account, &hold.asset, &hold.amount)?;
        let holds = self.unlockable(hold, &amount);
        let account = self.account(hold.account)?;
        let held = holds.iter().try_fold(Money::ZERO, |sum, key| {
            sum.checked_add(self.hold(hold.account, key))
        });
        let held = held.unwrap_or_default();
        if amount > held.into() && hold.order.is_none() {
            let rejection = Rejection::UnlockExceedsLocked;
            return Err(shortage(rejection, account, &amount, held));
        }

        let released = amount.clone().min(held.into());
        let kind = match (released.is_zero(), amount > released) {
            (true, _) => DriftKind::NothingToRelease,
            (false, true) => DriftKind::UnlockExceedsHold,
            (false, false) => DriftKind::Rounded,
        };
        self.compare(kind, "amount", &hold.amount, &released);
        self.consume(hold.account, &holds, released.units_rounded())?;
        self.note_unlock(hold, &holds)
    }

    /// Decreases a hold to zero.
    pub(super) fn release(&mut self, release: &Release) -> Result<()> {
        let holds = std::slice::from_ref(&release.hold);
        self.consume(release.account, holds, i128::MAX)?;

        let HoldKey { order, pair } = &release.hold;
        match order {
            Some(order) => self.forget_lock(order, pair.as_ref(), release.account),
            None => Ok(()),
        }
    }

    /// Records the difference between the caller's figure and the booked one, if there is any.
    pub(super) fn compare(
        &mut self,
        kind: DriftKind,
        field: impl Into<Cow<'static, str>>,
        given: &Number,
        booked: &Number,
    ) {
        let amount = given.minus(booked);
        if !amount.is_zero() {
            let field = field.into();
            self.effect.drift.push(Drift {
                kind,
                field,
                amount,
            });
        }
    }

    /// Records a difference of an order.
    pub(super) fn note(&mut self, kind: DriftKind, amount: Number) {
        self.effect.drift.push(Drift {
            kind,
            field: kind.as_str().into(),
            amount,
        });
    }

    /// Records differences between a belief, rounded to the places of the books, and the books.
    pub(super) fn compare_belief(&mut self, belief: &Belief, before: Money, after: Money) {
        let sides = [
            ("previous_balance", &belief.previous_balance, before),
            ("new_balance", &belief.new_balance, after),
        ];
        for (field, believed, actual) in sides {
            if let Some(believed) = believed {
                let believed = believed.rounded();
                self.compare(DriftKind::Balance, field, &believed, &actual.into());
            }
        }
    }

    pub(super) fn finish(self) -> Result<Effect> {
        match self.out_of_range.first() {
            Some(account) => Err(Rejected::of_account(Rejection::AmountOutOfRange, *account)),
            None if self.exceeds_accounts || self.exceeds_pairs() => {
                Err(Rejection::OrderTooLarge.into())
            }
            None => Ok(self.effect),
        }
    }
}

fn unknown(account: AccountId) -> Rejected {
    Rejected::of_account(Rejection::UnknownSubAccount, account)
}

fn shortage(
    rejection: Rejection,
    account: &Account,
    needed: &Number,
    available: Money,
) -> Rejected {
    let details = Details::Shortage {
        account: account.id,
        asset: account.asset.clone(),
        needed: needed.clone(),
        available,
    };
    Rejected::with(rejection, details)
}
