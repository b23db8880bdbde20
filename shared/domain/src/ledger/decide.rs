//! The decision: what a command does to a book, or why not.

use super::account::Account;
use super::book::Book;
use super::command::{Command, Movement};
use super::draft::{Draft, Leg};
use super::effect::Effect;
use super::rejection::Rejection;
use super::settle;
use crate::ids::{AccountId, TradingId, UserId};
use crate::money::Number;
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

    let mut draft = Draft::new(book);
    match command {
        Command::Move(movement) => apply_movement(&mut draft, movement)?,
        Command::Trade(trade) => settle::apply(&mut draft, trade)?,
        Command::Lock {
            account,
            asset,
            amount,
            order,
        } => {
            draft.expect_asset(*account, asset)?;
            draft.lock(*account, order.as_ref(), positive(amount)?)?;
        }
        Command::Unlock {
            account,
            asset,
            amount,
            order,
        } => {
            draft.expect_asset(*account, asset)?;
            draft.unlock(*account, order.as_ref(), positive(amount)?, amount)?;
        }
        Command::Release { account, order } => draft.release(*account, order)?,
        Command::Record { .. } => {}
    }

    draft.finish()
}

fn apply_movement(draft: &mut Draft<'_>, movement: &Movement) -> Result<(), Rejection> {
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
