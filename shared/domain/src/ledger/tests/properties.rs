//! Properties of any sequence of commands.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Generates amounts that are often of similar size, and figures at and beyond every limit.
fn any_number() -> impl Strategy<Value = Number> {
    let small = (1u32..2_000, 0usize..4).prop_map(|(digits, places)| format!("{digits}e-{places}"));
    let odd = prop::sample::select(vec![
        "0",
        "-1",
        "1e-12",
        "1e-13",
        "0.5e-12",
        "9999999999999999.999999999999",
        "1e16",
        "1e64",
        "-1e64",
        "1e-64",
        "9999999999999999999999999999999999999999e64",
        "0.9999999999999999999999999999999999999999",
    ]);

    let long = "[1-9][0-9]{39}".prop_map(|digits| digits);

    prop_oneof![12 => small, 2 => odd.prop_map(str::to_owned), 1 => long]
        .prop_filter_map("within limits", |text| text.parse().ok())
}

fn any_order() -> impl Strategy<Value = Option<OrderId>> {
    prop::sample::select(vec![None, order("A"), order("B")])
}

fn any_account() -> impl Strategy<Value = AccountId> {
    prop_oneof![
        20 => prop::sample::select(vec![STOCK, CURRENCY, THIRD]),
        1 => prop::sample::select(vec![ELSEWHERE, FOREIGN, ABSENT]),
    ]
}

/// Returns the asset of an account of [`book`].
fn asset_of(account: AccountId) -> Asset {
    match account {
        STOCK => asset("BTC"),
        THIRD => asset("BNB"),
        _ => asset("USDT"),
    }
}

fn any_belief() -> impl Strategy<Value = Belief> {
    let number = || prop::option::of(any_number());
    (number(), number()).prop_map(|(previous_balance, new_balance)| Belief {
        previous_balance,
        new_balance,
    })
}

fn any_movement() -> impl Strategy<Value = Command> {
    let direction = prop::sample::select(vec![Direction::Credit, Direction::Debit]);
    let amounts = (any_number(), any_belief());
    (any_account(), direction, amounts, any_order()).prop_map(
        |(account, direction, (amount, belief), order)| {
            Command::Move(Movement {
                account,
                asset: asset_of(account),
                direction,
                amount,
                order,
                reason: "test".to_owned(),
                belief,
            })
        },
    )
}

/// Generates a trade of any accounts, without figures.
fn any_accounts() -> impl Strategy<Value = Trade> {
    let fee_account = prop::option::of(any_account());
    let side = prop::sample::select(vec![Side::Buy, Side::Sell]);
    (side, any_account(), any_account(), fee_account).prop_map(
        |(side, stock_account, currency_account, fee_account)| Trade {
            reason: "long",
            stock_account,
            stock: asset_of(stock_account),
            currency_account,
            currency: asset_of(currency_account),
            fee_account,
            ..trade(side, "0", "0", "0")
        },
    )
}

fn any_trade() -> impl Strategy<Value = Command> {
    let product = (any_number(), any_number());
    let quote_amount = prop::option::of(any_number());
    let others = (quote_amount, any_number());
    (any_accounts(), product, others, any_order()).prop_map(
        |(accounts, (volume, price), (quote_amount, fee), order)| {
            Command::Trade(Trade {
                volume,
                price,
                quote_amount,
                fee,
                order,
                ..accounts
            })
        },
    )
}

fn any_hold_command() -> impl Strategy<Value = Command> {
    (0..3, any_account(), any_number(), any_order()).prop_map(|(kind, account, amount, order)| {
        let asset = asset_of(account);
        match (kind, order) {
            (0, order) => Command::Lock(Hold {
                account,
                asset,
                amount,
                order,
            }),
            (1, order) => Command::Unlock(Hold {
                account,
                asset,
                amount,
                order,
            }),
            (_, Some(order)) => Command::Release { account, order },
            (_, None) => Command::Record {
                account: Some(account),
            },
        }
    })
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![any_movement(), any_trade(), any_hold_command()]
}

/// Applies all commands and returns the effects; `None` for rejected ones.
fn fold(book: &mut Book, commands: &[Command]) -> Vec<Option<Effect>> {
    let apply_one = |command: &Command| {
        let effect = run(book, command).ok()?;
        book.commit(&effect);
        Some(effect)
    };
    commands.iter().map(apply_one).collect()
}

/// Returns the book as a batch loads it: all accounts, but only the holds of its commands.
fn reload(book: &Book, commands: &[Command]) -> Book {
    let mut wanted: Vec<(AccountId, Option<OrderId>)> = Vec::new();
    for command in commands {
        if let Some(order) = command.hold_order() {
            let accounts = command.accounts().into_iter();
            wanted.extend(accounts.map(|account| (account, order.cloned())));
        }
    }

    let mut loaded = Book::default();
    for account in book.accounts() {
        let mut account = account.clone();
        let id = account.id;
        account
            .holds
            .retain(|order, _| wanted.contains(&(id, order.clone())));
        loaded.insert(account);
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
            if change.amount == Money::ZERO {
                account.holds.remove(&change.order);
            } else {
                account.holds.insert(change.order.clone(), change.amount);
            }
            database.insert(account);
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

fn check_conservation(
    before: &Book,
    after: &Book,
    effects: &[Option<Effect>],
) -> Result<(), TestCaseError> {
    let mut figures = figures(before);
    for posting in effects.iter().flatten().flat_map(|effect| &effect.postings) {
        prop_assert!(posting.amount.is_positive());
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
        let held: i128 = account.holds.values().map(|amount| amount.units()).sum();
        prop_assert_eq!(account.locked.units(), held);
        prop_assert!(account.holds.values().all(|amount| amount.is_positive()));
        prop_assert!(Money::ZERO <= account.locked);
        prop_assert!(account.locked <= account.balance);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

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
    fn commands_on_different_accounts_commute(
        before in vec(any_command(), 0..20),
        first in any_command(),
        second in any_command(),
    ) {
        prop_assume!(first.accounts().iter().all(|account| !second.accounts().contains(account)));
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
        commands in vec(any_command().prop_map(Command::rounded), 0..10),
        numbers in vec(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,9})?(e-?[0-9]{1,2})?", 4..5),
        side in prop::sample::select(vec![Side::Buy, Side::Sell]),
        fee_account in prop::option::of(any_account()),
    ) {
        let mut book = book();
        fold(&mut book, &commands);

        let parsed: Vec<Number> = numbers.iter().filter_map(|text| text.parse().ok()).collect();
        prop_assume!(parsed.len() == 4);
        let wild = Trade {
            volume: parsed[0].clone(),
            price: parsed[1].clone(),
            fee: parsed[2].clone(),
            quote_amount: Some(parsed[3].clone()).filter(Number::is_positive),
            fee_account,
            ..trade(side, "1", "1", "0")
        };

        let commands = [Command::Trade(wild.clone()), Command::Trade(wild).rounded()];
        let effects = fold(&mut book, &commands);

        for posting in effects.iter().flatten().flat_map(|effect| &effect.postings) {
            prop_assert!(posting.amount.is_positive());
        }
    }
}
