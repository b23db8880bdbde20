//! The decision about a command: its effect on a book, or the reason to reject it.

use super::account::Account;
use super::book::Book;
use super::command::{Command, Movement};
use super::draft::{Draft, Leg};
use super::effect::Effect;
use super::names::Asset;
use super::rejected::{Rejected, Result};
use super::rejection::Rejection;
use super::settle;
use crate::ids::{AccountId, TradingId, UserId};
use crate::money::Number;
use crate::states::{Direction, DriftKind};
use chrono::{DateTime, Utc};

/// Checks that the accounts exist and belong to the trading and the user.
pub fn check(book: &Book, user: UserId, trading: TradingId, accounts: &[AccountId]) -> Result<()> {
    if let Some(id) = accounts.iter().find(|id| book.get(**id).is_none()) {
        return Err(Rejected::of_account(Rejection::UnknownSubAccount, *id));
    }

    let is_foreign = |account: &&Account| account.user != user || account.trading != trading;
    match accounts
        .iter()
        .filter_map(|id| book.get(*id))
        .find(is_foreign)
    {
        Some(account) => Err(Rejected::of_account(
            Rejection::OwnershipMismatch,
            account.id,
        )),
        None => Ok(()),
    }
}

/// Returns the effect of a command of `user` on `trading`, about an event of the time `at`.
pub fn apply(
    book: &Book,
    user: UserId,
    trading: TradingId,
    command: &Command,
    at: DateTime<Utc>,
) -> Result<Effect> {
    check(book, user, trading, &command.accounts())?;

    let mut draft = Draft::new(book, trading, at);
    match command {
        Command::Move(movement) => apply_movement(&mut draft, movement)?,
        Command::Trade(trade) => settle::apply(&mut draft, trade)?,
        Command::Lock(lock) => {
            draft.expect_asset(lock.hold.account, &lock.hold.asset)?;
            draft.lock(lock)?;
        }
        Command::Unlock(hold) => {
            draft.expect_asset(hold.account, &hold.asset)?;
            draft.unlock(hold)?;
        }
        Command::Release(release) => draft.release(release)?,
        Command::Order(event) => draft.report(event)?,
        Command::Record { .. } => {}
    }

    draft.finish()
}

fn apply_movement(draft: &mut Draft<'_>, movement: &Movement) -> Result<()> {
    draft.expect_asset(movement.account, &movement.asset)?;
    let amount = positive(movement.account, &movement.asset, &movement.amount)?;
    draft.compare(DriftKind::Rounded, "amount", &movement.amount, &amount);
    let before = draft.account(movement.account)?.balance;
    let mut leg = Leg {
        reason: &movement.reason,
        ..Leg::default()
    };

    match movement.direction {
        Direction::Credit => draft.credit(movement.account, &amount, &leg)?,
        Direction::Debit => {
            leg.holds = draft.debitable(movement, &amount);
            draft.debit(movement.account, &amount, &leg)?;
            if let Some(order) = &movement.order {
                draft.forget_lock(order, movement.pair.as_ref(), movement.account)?;
            }
        }
    }

    let after = draft.account(movement.account)?.balance;
    draft.compare_belief(&movement.belief, before, after);
    Ok(())
}

/// Rounds an amount to the places of the books, where it must be above zero.
pub(super) fn positive(account: AccountId, asset: &Asset, amount: &Number) -> Result<Number> {
    let booked = amount.rounded();
    if booked.is_positive() {
        Ok(booked)
    } else {
        Err(Rejected::of_amount(account, asset, amount))
    }
}
