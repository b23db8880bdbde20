//! The decision about a command: its effect on a book, or the reason to reject it.

use super::account::Account;
use super::book::Book;
use super::command::{Command, Movement};
use super::draft::{Draft, Leg};
use super::effect::Effect;
use super::rejection::{Rejection, Result};
use super::settle;
use crate::ids::{AccountId, TradingId, UserId};
use crate::money::Number;
use crate::states::Direction;

/// Checks that the accounts exist and belong to the trading and the user.
pub fn check(book: &Book, user: UserId, trading: TradingId, accounts: &[AccountId]) -> Result<()> {
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

/// Returns the effect of a command of `user` on `trading`.
pub fn apply(book: &Book, user: UserId, trading: TradingId, command: &Command) -> Result<Effect> {
    check(book, user, trading, &command.accounts())?;

    let mut draft = Draft::new(book);
    match command {
        Command::Move(movement) => apply_movement(&mut draft, movement)?,
        Command::Trade(trade) => settle::apply(&mut draft, trade)?,
        Command::Lock(hold) => {
            draft.expect_asset(hold.account, &hold.asset)?;
            draft.lock(hold, positive(&hold.amount)?)?;
        }
        Command::Unlock(hold) => {
            draft.expect_asset(hold.account, &hold.asset)?;
            draft.unlock(hold, positive(&hold.amount)?)?;
        }
        Command::Release { account, order } => draft.release(*account, order)?,
        Command::Record { .. } => {}
    }

    draft.finish()
}

fn apply_movement(draft: &mut Draft<'_>, movement: &Movement) -> Result<()> {
    draft.expect_asset(movement.account, &movement.asset)?;
    let amount = positive(&movement.amount)?;
    let before = draft.account(movement.account)?.balance;
    let leg = Leg {
        reason: &movement.reason,
        order: movement.order.as_ref(),
        ..Leg::default()
    };

    match movement.direction {
        Direction::Credit => draft.credit(movement.account, amount, &leg)?,
        Direction::Debit => draft.debit(movement.account, amount, &leg)?,
    }

    let after = draft.account(movement.account)?.balance;
    draft.compare(&movement.belief, before, after);
    Ok(())
}

/// Returns the units of an amount, which must be above zero and exact.
fn positive(amount: &Number) -> Result<i128> {
    if !amount.is_positive() {
        Err(Rejection::InvalidAmount)
    } else if amount.has_too_many_places() {
        Err(Rejection::TooManyDecimals)
    } else {
        Ok(amount.units_rounded())
    }
}
