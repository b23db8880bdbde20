//! Tests of locks, unlocks and releases.

use super::*;

#[test]
fn a_lock_increases_the_hold_and_not_the_balance() {
    let mut book = book();
    for (command, expected) in [
        (lock("100", order("A")), "1000, 100 locked"),
        (lock("50", order("A")), "1000, 150 locked"),
        (lock("1", None), "1000, 151 locked"),
        (lock("2", None), "1000, 153 locked"),
    ] {
        let effect = effect(&mut book, &command);

        assert!(effect.postings.is_empty(), "{effect:?}");
        assert_eq!(state(&book, CURRENCY), expected);
    }

    assert_eq!(held(&book, order("A")), money("150"));
    assert_eq!(held(&book, None), money("3"));
    let account = book.get(CURRENCY).expect("known");
    assert_eq!(account.sequence, 0, "a hold is not a posting");
}

#[test]
fn a_lock_cannot_exceed_the_available_balance() {
    let book = book_with_holds(&[hold(CURRENCY, "A", "600")]);

    for amount in ["400.000000000000000001", "1e64"] {
        let lock = lock(amount, order("A"));
        rejects(&book, &lock, Rejection::InsufficientBalance);
    }
    assert!(run(&book, &lock("400", order("A"))).is_ok());
}

#[test]
fn an_unlock_decreases_only_the_hold_of_its_order() {
    let mut book = book_with_holds(&[
        hold(CURRENCY, "A", "600"),
        hold(CURRENCY, "B", "100"),
        hold(CURRENCY, "", "5"),
    ]);

    let done = effect(&mut book, &unlock("200", order("A")));
    effect(&mut book, &unlock("5", None));

    assert!(done.drift.is_empty(), "{done:?}");
    assert_eq!(state(&book, CURRENCY), "1000, 500 locked");
    assert_eq!(held(&book, order("A")), money("400"));
    assert_eq!(held(&book, order("B")), money("100"));
    let holds = &book.get(CURRENCY).expect("known").holds;
    assert_eq!(holds.len(), 2, "the unnamed hold is removed");
}

#[test]
fn an_unlock_of_an_order_releases_at_most_its_hold() {
    let holds = [hold(CURRENCY, "A", "600"), hold(CURRENCY, "", "5")];
    let mut book = book_with_holds(&holds);

    let more = effect(&mut book, &unlock("600.5", order("A")));
    assert_eq!(drift(&more), ["amount 0.5"]);
    assert_eq!(state(&book, CURRENCY), "1000, 5 locked");

    let none = effect(&mut book, &unlock("7", order("A")));
    assert_eq!(drift(&none), ["amount 7"]);
    assert!(none.holds.is_empty(), "{none:?}");

    let huge = effect(&mut book, &unlock("1e30", order("A")));
    assert_eq!(drift(&huge), [format!("amount {}", number("1e30"))]);
    assert_eq!(state(&book, CURRENCY), "1000, 5 locked");
}

#[test]
fn a_lock_and_an_unlock_round_and_report_what_is_lost() {
    let mut book = book();

    let locked = effect(&mut book, &lock("2.0000000000000000004", order("A")));
    assert_eq!(drift(&locked), ["amount 0.0000000000000000004"]);
    assert_eq!(state(&book, CURRENCY), "1000, 2 locked");

    let unlocked = effect(&mut book, &unlock("2.0000000000000000006", order("A")));
    assert_eq!(drift(&unlocked), ["amount 0.0000000000000000006"]);
    assert_eq!(state(&book, CURRENCY), "1000, 0 locked");
}

#[test]
fn rejects_an_unnamed_unlock_beyond_its_hold() {
    let holds = [hold(CURRENCY, "A", "600"), hold(CURRENCY, "", "5")];
    let book = book_with_holds(&holds);

    let beyond = unlock("5.000000000000000001", None);
    rejects(&book, &beyond, Rejection::UnlockExceedsLocked);
    let unheld = unlock("1", None);
    rejects(&super::book(), &unheld, Rejection::UnlockExceedsLocked);
}

#[test]
fn rejects_locks_and_unlocks_of_invalid_amounts() {
    let book = book_with_holds(&[hold(CURRENCY, "", "5")]);
    for make in [lock, unlock] {
        for order in [None, order("A")] {
            let rejects = |amount, expected| rejects(&book, &make(amount, order.clone()), expected);

            rejects("0", Rejection::InvalidAmount);
            rejects("-1", Rejection::InvalidAmount);
            rejects("1e-19", Rejection::InvalidAmount);
        }
    }
}
