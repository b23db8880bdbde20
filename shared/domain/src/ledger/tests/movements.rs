//! Tests of movements, records and beliefs.

use super::*;

#[test]
fn credits_and_debits_have_closing_balance_and_sequence() {
    let mut book = book();

    let credit = effect(&mut book, &credit("0.000000000000000001"));
    let expected = "credit 2 0.000000000000000001 test = 1000.000000000000000001 #1";
    assert_eq!(postings(&credit), [expected]);

    let debit = effect(&mut book, &debit("1000.000000000000000001"));
    let expected = "debit 2 1000.000000000000000001 test = 0 #2";
    assert_eq!(postings(&debit), [expected]);
}

#[test]
fn a_debit_cannot_exceed_the_available_balance() {
    let mut book = book();

    let too_much = debit("1000.000000000000000001");
    rejects(&book, &too_much, Rejection::InsufficientBalance);
    effect(&mut book, &debit("1000"));

    assert_eq!(state(&book, CURRENCY), "0, 0 locked");
}

#[test]
fn a_debit_without_an_order_cannot_use_holds() {
    let holds = [hold(CURRENCY, "A", "600"), hold(CURRENCY, "", "100")];
    let mut book = book_with_holds(&holds);

    rejects(&book, &debit("300.1"), Rejection::InsufficientBalance);
    let effect = effect(&mut book, &debit("300"));

    assert!(effect.holds.is_empty(), "{effect:?}");
    assert_eq!(state(&book, CURRENCY), "700, 700 locked");
}

/// Returns a book with holds of two orders and 300 available.
fn book_of_two_orders() -> Book {
    book_with_holds(&[hold(CURRENCY, "A", "600"), hold(CURRENCY, "B", "100")])
}

fn debit_of_a(amount: &str) -> Command {
    Command::Move(Movement {
        order: order("A"),
        ..movement(Direction::Debit, amount)
    })
}

#[test]
fn a_debit_that_names_an_order_consumes_its_hold_first() {
    let mut book = book_of_two_orders();

    effect(&mut book, &debit_of_a("250"));

    assert_eq!(state(&book, CURRENCY), "750, 450 locked");
    assert_eq!(held(&book, order("A")), money("350"));
}

#[test]
fn a_debit_of_an_order_uses_the_available_after_its_hold() {
    let mut book = book_of_two_orders();
    let too_much = debit_of_a("900.000000000000000001");
    rejects(&book, &too_much, Rejection::InsufficientBalance);

    let done = effect(&mut book, &debit_of_a("900"));

    assert_eq!(state(&book, CURRENCY), "100, 100 locked");
    let holds = &book.get(CURRENCY).expect("known").holds;
    assert_eq!(holds.len(), 1, "an empty hold is removed");
    let [change] = done.holds.as_slice() else {
        panic!("{done:?}")
    };
    assert_eq!(change.key.order, order("A"));
    assert_eq!(change.held.amount, Money::ZERO);
}

#[test]
fn a_credit_that_names_an_order_keeps_its_hold() {
    let mut book = book_with_holds(&[hold(CURRENCY, "A", "600")]);
    let credit = Command::Move(Movement {
        order: order("A"),
        ..movement(Direction::Credit, "5")
    });

    effect(&mut book, &credit);

    assert_eq!(state(&book, CURRENCY), "1005, 600 locked");
}

/// A movement of 10 from a balance of 1000, the expected balances, and the drift.
struct Believed {
    direction: Direction,
    previous: Option<&'static str>,
    new: Option<&'static str>,
    drift: &'static [&'static str],
}

#[test]
fn beliefs_are_compared_and_never_applied() {
    for case in [
        Believed {
            direction: Direction::Credit,
            previous: Some("1000"),
            new: Some("1010"),
            drift: &[],
        },
        Believed {
            direction: Direction::Credit,
            previous: None,
            new: None,
            drift: &[],
        },
        Believed {
            direction: Direction::Credit,
            previous: Some("1000.00000000000000000049"),
            new: Some("1010.0000000000000000005"),
            drift: &[],
        },
        Believed {
            direction: Direction::Credit,
            previous: Some("1001"),
            new: Some("1011.5"),
            drift: &["previous_balance 1", "new_balance 1.5"],
        },
        Believed {
            direction: Direction::Debit,
            previous: Some("999.5"),
            new: Some("990"),
            drift: &["previous_balance -0.5"],
        },
        Believed {
            direction: Direction::Debit,
            previous: None,
            new: Some("1e20"),
            drift: &["new_balance 99999999999999999010"],
        },
    ] {
        let belief = Belief {
            previous_balance: case.previous.map(number),
            new_balance: case.new.map(number),
        };
        let command = Command::Move(Movement {
            belief,
            ..movement(case.direction, "10")
        });

        let effect = run(&book(), &command).expect("applied");

        assert_eq!(drift(&effect), case.drift, "{command:?}");
        assert_eq!(effect.postings.len(), 1, "{command:?}");
        assert_eq!(effect.postings[0].amount, money("10"), "{command:?}");
    }
}

#[test]
fn rejects_a_movement_of_an_invalid_amount() {
    for make in [credit, debit] {
        for amount in ["0", "-1", "-1e-64", "1e-64", "5e-19"] {
            rejects(&book(), &make(amount), Rejection::InvalidAmount);
        }
    }
}

#[test]
fn rejects_a_credit_beyond_twenty_digits() {
    let mut book = book();

    for amount in ["99999999999999999000", "100000000000000000000", "1e64"] {
        rejects(&book, &credit(amount), Rejection::AmountOutOfRange);
    }
    effect(
        &mut book,
        &credit("99999999999999998999.999999999999999999"),
    );

    let most = "99999999999999999999.999999999999999999, 0 locked";
    assert_eq!(state(&book, CURRENCY), most);
}

#[test]
fn insufficient_balance_precedes_the_range() {
    rejects(&book(), &debit("1e64"), Rejection::InsufficientBalance);
}

#[test]
fn the_account_of_a_record_must_belong_to_the_trading() {
    let record = |account| Command::Record { account };
    let rejects = |account, expected| rejects(&book(), &record(Some(account)), expected);

    assert_eq!(run(&book(), &record(None)), Ok(Effect::default()));
    assert_eq!(run(&book(), &record(Some(STOCK))), Ok(Effect::default()));

    rejects(ABSENT, Rejection::UnknownSubAccount);
    rejects(ELSEWHERE, Rejection::OwnershipMismatch);
    rejects(FOREIGN, Rejection::OwnershipMismatch);
}

#[test]
fn an_amount_is_rounded_half_to_even_and_the_rest_is_drift() {
    for (amount, booked, lost) in [
        (
            "0.30000000000000004440892",
            "0.300000000000000044",
            "amount 0.00000000000000000040892",
        ),
        ("1.0000000000000000005", "1", "amount 0.0000000000000000005"),
        (
            "1.0000000000000000015",
            "1.000000000000000002",
            "amount -0.0000000000000000005",
        ),
    ] {
        let effect = run(&book(), &credit(amount)).expect("applied");

        assert_eq!(effect.postings[0].amount, money(booked));
        assert_eq!(drift(&effect), [lost]);
    }
}
