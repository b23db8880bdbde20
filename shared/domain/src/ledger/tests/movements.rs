//! Credits, debits, deposits, withdrawals, records, and what bots believe about balances.

use super::*;

#[test]
fn a_credit_adds_and_a_debit_takes_with_closing_balance_and_sequence() {
    let mut book = book();
    let credit = Command::Move(movement(Direction::Credit, "0.000000000001"));
    assert_eq!(
        told(&effect(&mut book, &credit)),
        ["credit 2 0.000000000001 test = 1000.000000000001 #1"]
    );
    let debit = Command::Move(movement(Direction::Debit, "1000.000000000001"));
    assert_eq!(
        told(&effect(&mut book, &debit)),
        ["debit 2 1000.000000000001 test = 0 #2"]
    );
}

#[test]
fn a_debit_takes_all_that_is_available_and_not_a_unit_more() {
    let mut book = book();
    let too_much = Command::Move(movement(Direction::Debit, "1000.000000000001"));
    assert_eq!(run(&book, &too_much), Err(Rejection::InsufficientBalance));
    effect(
        &mut book,
        &Command::Move(movement(Direction::Debit, "1000")),
    );
    assert_eq!(state(&book, CURRENCY), pair("0", "0"));
}

#[test]
fn a_debit_without_order_cannot_reach_what_is_held() {
    let mut book = book_with_holds(&[(CURRENCY, "A", "600"), (CURRENCY, "", "100")]);
    assert_eq!(
        run(&book, &Command::Move(movement(Direction::Debit, "300.1"))),
        Err(Rejection::InsufficientBalance)
    );
    let effect = effect(&mut book, &Command::Move(movement(Direction::Debit, "300")));
    assert!(effect.holds.is_empty());
    assert_eq!(state(&book, CURRENCY), pair("700", "700"));
}

#[test]
fn a_debit_that_names_an_order_consumes_its_hold_first_and_then_what_is_available() {
    let holds = [(CURRENCY, "A", "600"), (CURRENCY, "B", "100")];
    let debit = |amount| {
        Command::Move(Movement {
            order: order("A"),
            ..movement(Direction::Debit, amount)
        })
    };

    let mut book = book_with_holds(&holds);
    effect(&mut book, &debit("250"));
    assert_eq!(state(&book, CURRENCY), pair("750", "450"));
    assert_eq!(
        book.get(CURRENCY).expect("known").hold(order("A").as_ref()),
        money("350")
    );

    let mut book = book_with_holds(&holds);
    let done = effect(&mut book, &debit("900"));
    assert_eq!(state(&book, CURRENCY), pair("100", "100"));
    assert_eq!(
        book.get(CURRENCY).expect("known").holds.len(),
        1,
        "an empty hold is removed"
    );
    assert_eq!(done.holds.len(), 1);
    assert_eq!(
        (done.holds[0].order.clone(), done.holds[0].amount),
        (order("A"), Money::ZERO)
    );

    let book = book_with_holds(&holds);
    assert_eq!(
        run(&book, &debit("900.000000000001")),
        Err(Rejection::InsufficientBalance)
    );
}

#[test]
fn a_credit_that_names_an_order_leaves_its_hold_alone() {
    let mut book = book_with_holds(&[(CURRENCY, "A", "600")]);
    let credit = Command::Move(Movement {
        order: order("A"),
        ..movement(Direction::Credit, "5")
    });
    effect(&mut book, &credit);
    assert_eq!(state(&book, CURRENCY), pair("1005", "600"));
}

#[test]
fn beliefs_are_compared_and_never_obeyed() {
    let believing = |direction, previous: Option<&str>, new: Option<&str>| {
        let belief = Belief {
            previous_balance: previous.map(number),
            new_balance: new.map(number),
        };
        Command::Move(Movement {
            belief,
            ..movement(direction, "10")
        })
    };
    for (command, expected) in [
        (
            believing(Direction::Credit, Some("1000"), Some("1010")),
            vec![],
        ),
        (believing(Direction::Credit, None, None), vec![]),
        (
            believing(
                Direction::Credit,
                Some("1000.00000000000049"),
                Some("1010.0000000000005"),
            ),
            vec![],
        ),
        (
            believing(Direction::Credit, Some("1001"), Some("1011.5")),
            vec![("previous_balance", "1"), ("new_balance", "1.5")],
        ),
        (
            believing(Direction::Debit, Some("999.5"), Some("990")),
            vec![("previous_balance", "-0.5")],
        ),
        (
            believing(Direction::Debit, None, Some("1e20")),
            vec![("new_balance", "99999999999999999010")],
        ),
    ] {
        let effect = run(&book(), &command).expect("applied");
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(field, amount)| (field, amount.to_owned()))
            .collect();
        assert_eq!(drift(&effect), expected);
        assert_eq!(effect.postings.len(), 1);
        assert_eq!(effect.postings[0].amount, money("10"));
    }
}

#[test]
fn a_movement_of_zero_less_or_too_many_places_is_refused() {
    for direction in [Direction::Credit, Direction::Debit] {
        for (amount, rejection) in [
            ("0", Rejection::InvalidAmount),
            ("-1", Rejection::InvalidAmount),
            ("-1e-64", Rejection::InvalidAmount),
            ("1e-13", Rejection::TooManyDecimals),
            ("1.0000000000001", Rejection::TooManyDecimals),
        ] {
            let refused = run(&book(), &Command::Move(movement(direction, amount)));
            assert_eq!(refused, Err(rejection), "{direction:?} {amount}");
        }
    }
}

#[test]
fn a_credit_beyond_sixteen_digits_is_out_of_range() {
    let mut book = book();
    for amount in ["9999999999999000", "10000000000000000", "1e64"] {
        let refused = run(&book, &Command::Move(movement(Direction::Credit, amount)));
        assert_eq!(refused, Err(Rejection::AmountOutOfRange), "{amount}");
    }
    effect(
        &mut book,
        &Command::Move(movement(Direction::Credit, "9999999999998999.999999999999")),
    );
    assert_eq!(
        state(&book, CURRENCY),
        pair("9999999999999999.999999999999", "0")
    );
    let huge = run(&book, &Command::Move(movement(Direction::Debit, "1e64")));
    assert_eq!(
        huge,
        Err(Rejection::InsufficientBalance),
        "a shortage comes before the range"
    );
}

#[test]
fn a_record_moves_nothing_and_its_account_must_belong_to_the_trading() {
    assert_eq!(
        run(&book(), &Command::Record { account: None }),
        Ok(Effect::default())
    );
    assert_eq!(
        run(
            &book(),
            &Command::Record {
                account: Some(STOCK)
            }
        ),
        Ok(Effect::default())
    );
    for (account, rejection) in [
        (ABSENT, Rejection::UnknownSubAccount),
        (ELSEWHERE, Rejection::OwnershipMismatch),
        (FOREIGN, Rejection::OwnershipMismatch),
    ] {
        assert_eq!(
            run(
                &book(),
                &Command::Record {
                    account: Some(account)
                }
            ),
            Err(rejection)
        );
    }
}

#[test]
fn the_rounded_command_moves_what_the_books_can_hold() {
    let command = Command::Move(movement(Direction::Credit, "0.30000000000000004"));
    assert_eq!(run(&book(), &command), Err(Rejection::TooManyDecimals));
    let effect = run(&book(), &command.rounded()).expect("applied");
    assert_eq!(told(&effect), ["credit 2 0.3 test = 1000.3 #1"]);
    let nothing = Command::Move(movement(Direction::Credit, "4e-13")).rounded();
    assert_eq!(run(&book(), &nothing), Err(Rejection::InvalidAmount));
}
