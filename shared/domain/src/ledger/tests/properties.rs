//! Properties of any sequence of commands.

use super::generators::{any_account, any_command, any_trade, asset_of};
use super::*;
use crate::ledger::Posting;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Applies all commands and returns the effects; `None` for rejected ones.
pub(super) fn fold(book: &mut Book, commands: &[Command]) -> Vec<Option<Effect>> {
    let apply_one = |command: &Command| {
        let effect = run(book, command).ok()?;
        book.commit(&effect);
        Some(effect)
    };
    commands.iter().map(apply_one).collect()
}

/// Returns the book as a batch loads it: all accounts, but only the holds and orders of its commands.
fn reload(book: &Book, commands: &[Command]) -> Book {
    let orders: BTreeSet<&OrderId> = commands.iter().filter_map(Command::order).collect();
    let unnamed: BTreeSet<AccountId> = commands
        .iter()
        .filter(|command| command.is_of_unnamed_hold())
        .flat_map(Command::accounts)
        .collect();

    let mut loaded = Book::default();
    for account in book.accounts() {
        let mut account = account.clone();
        let id = account.id;
        account.holds.retain(|key, _| match &key.order {
            Some(order) => orders.contains(order),
            None => unnamed.contains(&id),
        });
        loaded.insert(account);
    }
    for id in orders {
        for order in book.orders(TRADING, id) {
            loaded.insert_order(order.clone());
        }
    }
    loaded
}

/// Stores the effects of a batch like the store: figures from the account states, holds from the changes.
fn store(database: &mut Book, effects: &[Option<Effect>]) {
    for effect in effects.iter().flatten() {
        for state in &effect.accounts {
            let mut account = database.get(state.id).expect("stored").clone();
            account.balance = state.balance;
            account.locked = state.locked;
            account.sequence = state.sequence;
            database.insert(account);
        }

        for change in &effect.holds {
            let mut account = database.get(change.account).expect("stored").clone();
            if change.held.amount == Money::ZERO {
                account.holds.remove(&change.key);
            } else {
                account.holds.insert(change.key.clone(), change.held);
            }
            database.insert(account);
        }
        for order in &effect.orders {
            database.insert_order(order.clone());
        }
    }
}

/// An account's balance in units, and its sequence.
struct Figures {
    balance: i128,
    sequence: i64,
}

fn figures(book: &Book) -> BTreeMap<AccountId, Figures> {
    book.accounts()
        .map(|account| {
            let figures = Figures {
                balance: account.balance.units(),
                sequence: account.sequence,
            };
            (account.id, figures)
        })
        .collect()
}

/// The fee is part of a debit, all of a `fee` posting, and absent from a rebate.
fn check_fee(posting: &Posting) -> Result<(), TestCaseError> {
    let fee = posting.fee;
    prop_assert!(fee.is_none_or(Money::is_positive));

    match (posting.reason.as_str(), posting.direction) {
        ("fee", direction) => {
            prop_assert_eq!(direction, Direction::Debit);
            prop_assert_eq!(fee, Some(posting.amount));
        }
        ("rebate", direction) => {
            prop_assert_eq!(direction, Direction::Credit);
            prop_assert_eq!(fee, None);
        }
        (_, Direction::Debit) => prop_assert!(fee.is_none_or(|fee| fee <= posting.amount)),
        (_, Direction::Credit) => {}
    }
    Ok(())
}

fn check_conservation(
    before: &Book,
    after: &Book,
    effects: &[Option<Effect>],
) -> Result<(), TestCaseError> {
    let mut figures = figures(before);
    for posting in effects.iter().flatten().flat_map(|effect| &effect.postings) {
        prop_assert!(posting.amount.is_positive());
        check_fee(posting)?;
        let account = figures.get_mut(&posting.account).expect("known");
        account.balance += match posting.direction {
            Direction::Credit => posting.amount.units(),
            Direction::Debit => -posting.amount.units(),
        };
        account.sequence += 1;

        prop_assert_eq!(posting.closing_balance.units(), account.balance);
        prop_assert_eq!(posting.sequence, account.sequence);
        prop_assert!(account.balance >= 0);
    }

    for account in after.accounts() {
        let expected = &figures[&account.id];
        prop_assert_eq!(account.balance.units(), expected.balance);
        prop_assert_eq!(account.sequence, expected.sequence);
        let amounts: Vec<Money> = account.holds.values().map(|held| held.amount).collect();
        let held: i128 = amounts.iter().map(|amount| amount.units()).sum();
        prop_assert_eq!(account.locked.units(), held);
        prop_assert!(amounts.iter().all(|amount| amount.is_positive()));
        prop_assert!(Money::ZERO <= account.locked);
        prop_assert!(account.locked <= account.balance);
    }
    Ok(())
}

/// Returns how much of each asset a trade must add to the accounts together, in units.
fn exchanged(trade: &Trade) -> BTreeMap<Asset, i128> {
    let value = match &trade.quote_amount {
        Some(amount) => amount.clone(),
        None => trade.price.times(&trade.volume),
    };
    let sign = if trade.side == Side::Buy { 1 } else { -1 };
    let mut changes = BTreeMap::new();
    changes.insert(trade.stock.clone(), sign * trade.volume.units_rounded());
    changes.insert(trade.currency.clone(), -sign * value.units_rounded());

    for fee in &trade.fees {
        *changes.entry(asset_of(fee.account)).or_default() -= fee.amount.units_rounded();
    }
    changes.retain(|_, change| *change != 0);
    changes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_trade_moves_its_figures_less_its_fees(command in any_trade()) {
        let Command::Trade(trade) = &command else {
            return Ok(());
        };
        let Ok(effect) = run(&book(), &command) else {
            return Ok(());
        };

        let mut moved: BTreeMap<Asset, i128> = BTreeMap::new();
        for posting in &effect.postings {
            *moved.entry(asset_of(posting.account)).or_default() += match posting.direction {
                Direction::Credit => posting.amount.units(),
                Direction::Debit => -posting.amount.units(),
            };
        }
        moved.retain(|_, change| *change != 0);
        prop_assert_eq!(moved, exchanged(trade));
    }

    #[test]
    fn balances_are_sums_of_postings_and_locked_of_holds(commands in vec(any_command(), 0..40)) {
        let mut after = book();
        let effects = fold(&mut after, &commands);
        check_conservation(&book(), &after, &effects)?;
    }

    #[test]
    fn batches_give_the_same_result_as_one_fold(
        commands in vec(any_command(), 0..40),
        piece in 1usize..10,
    ) {
        let mut whole = book();
        let expected = fold(&mut whole, &commands);

        let mut database = book();
        let mut done = Vec::new();
        for batch in commands.chunks(piece) {
            let mut loaded = reload(&database, batch);
            let effects = fold(&mut loaded, batch);
            store(&mut database, &effects);
            done.extend(effects);
        }

        prop_assert_eq!(&database, &whole);
        prop_assert_eq!(done.len(), expected.len());
        for (piecewise, whole) in done.iter().zip(&expected) {
            prop_assert_eq!(piecewise.is_some(), whole.is_some());
            if let (Some(piecewise), Some(whole)) = (piecewise, whole) {
                prop_assert_eq!(&piecewise.postings, &whole.postings);
                prop_assert_eq!(&piecewise.holds, &whole.holds);
                prop_assert_eq!(&piecewise.drift, &whole.drift);
                prop_assert_eq!(&piecewise.orders, &whole.orders);
            }
        }
    }

    #[test]
    fn a_rejection_changes_nothing_and_is_repeatable(
        commands in vec(any_command(), 0..20),
        last in any_command(),
    ) {
        let mut before = book();
        fold(&mut before, &commands);
        let mut after = before.clone();

        let outcome = fold(&mut after, std::slice::from_ref(&last));

        if outcome[0].is_none() {
            prop_assert_eq!(&after, &before);
            prop_assert_eq!(run(&after, &last), run(&before, &last));
        }
    }

    #[test]
    fn commands_on_different_accounts_and_orders_commute(
        before in vec(any_command(), 0..20),
        // The end of an order changes accounts that it does not name.
        first in any_command().prop_filter("ends no order", |command| !command.can_end_order()),
        second in any_command().prop_filter("ends no order", |command| !command.can_end_order()),
    ) {
        prop_assume!(first.accounts().iter().all(|account| !second.accounts().contains(account)));
        prop_assume!(first.order().is_none() || first.order() != second.order());
        let mut one = book();
        fold(&mut one, &before);
        let mut other = one.clone();

        let mut effects = fold(&mut one, &[first.clone(), second.clone()]);
        effects.reverse();
        prop_assert_eq!(fold(&mut other, &[second, first]), effects);
        prop_assert_eq!(one, other);
    }

    #[test]
    fn arbitrary_figures_never_panic(
        commands in vec(any_command(), 0..10),
        numbers in vec(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,9})?(e-?[0-9]{1,2})?", 4..5),
        side in prop::sample::select(vec![Side::Buy, Side::Sell]),
        payer in any_account(),
    ) {
        let mut book = book();
        fold(&mut book, &commands);

        let parsed: Vec<Number> = numbers.iter().filter_map(|text| text.parse().ok()).collect();
        prop_assume!(parsed.len() == 4);
        let wild = Trade {
            volume: parsed[0].clone(),
            price: parsed[1].clone(),
            quote_amount: Some(parsed[3].clone()).filter(Number::is_positive),
            fees: vec![Fee {
                account: payer,
                amount: parsed[2].clone(),
                position: None,
            }],
            ..trade(side, "1", "1", "0")
        };

        let effects = fold(&mut book, &[Command::Trade(wild)]);

        for posting in effects.iter().flatten().flat_map(|effect| &effect.postings) {
            prop_assert!(posting.amount.is_positive());
        }
    }
}
