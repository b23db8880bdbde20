//! Locks, unlocks and releases.

use super::*;

#[test]
fn a_lock_grows_the_hold_of_its_order_and_moves_no_balance() {
    let mut book = book();
    for (amount, order_id, locked) in [
        ("100", order("A"), "100"),
        ("50", order("A"), "150"),
        ("1", None, "151"),
        ("2", None, "153"),
    ] {
        let effect = effect(&mut book, &lock(amount, order_id));
        assert!(effect.postings.is_empty());
        assert_eq!(state(&book, CURRENCY), pair("1000", locked));
    }
    let account = book.get(CURRENCY).expect("known");
    assert_eq!(account.hold(order("A").as_ref()), money("150"));
    assert_eq!(account.hold(None), money("3"));
    assert_eq!(account.sequence, 0, "a hold is no posting");
}

#[test]
fn a_lock_reaches_plain_available_only_also_when_its_order_holds_something() {
    let book = book_with_holds(&[(CURRENCY, "A", "600")]);
    assert_eq!(
        run(&book, &lock("400.000000000001", order("A"))),
        Err(Rejection::InsufficientBalance)
    );
    assert_eq!(
        run(&book, &lock("1e64", order("A"))),
        Err(Rejection::InsufficientBalance)
    );
    assert!(run(&book, &lock("400", order("A"))).is_ok());
}

#[test]
fn an_unlock_shrinks_the_hold_of_its_order_and_no_other() {
    let mut book = book_with_holds(&[
        (CURRENCY, "A", "600"),
        (CURRENCY, "B", "100"),
        (CURRENCY, "", "5"),
    ]);
    let done = effect(&mut book, &unlock("200", order("A")));
    assert!(done.drift.is_empty());
    effect(&mut book, &unlock("5", None));
    let account = book.get(CURRENCY).expect("known");
    assert_eq!(state(&book, CURRENCY), pair("1000", "500"));
    assert_eq!(account.hold(order("A").as_ref()), money("400"));
    assert_eq!(account.hold(order("B").as_ref()), money("100"));
    assert_eq!(account.holds.len(), 2, "the unnamed hold is gone");
}

#[test]
fn an_unlock_with_order_releases_at_most_its_hold_and_tells_the_difference() {
    let mut book = book_with_holds(&[(CURRENCY, "A", "600"), (CURRENCY, "", "5")]);
    let more = effect(&mut book, &unlock("600.5", order("A")));
    assert_eq!(drift(&more), [("amount", "0.5".to_owned())]);
    assert_eq!(state(&book, CURRENCY), pair("1000", "5"));
    let none = effect(&mut book, &unlock("7", order("A")));
    assert_eq!(drift(&none), [("amount", "7".to_owned())]);
    assert!(none.holds.is_empty());
    let huge = effect(&mut book, &unlock("1e30", order("A")));
    assert_eq!(drift(&huge), [("amount", number("1e30").to_string())]);
    assert_eq!(state(&book, CURRENCY), pair("1000", "5"));
}

#[test]
fn an_unlock_without_order_beyond_its_hold_is_refused() {
    let book = book_with_holds(&[(CURRENCY, "A", "600"), (CURRENCY, "", "5")]);
    assert_eq!(
        run(&book, &unlock("5.000000000001", None)),
        Err(Rejection::UnlockExceedsLocked)
    );
    assert_eq!(
        run(&super::book(), &unlock("1", None)),
        Err(Rejection::UnlockExceedsLocked)
    );
}

#[test]
fn locks_and_unlocks_of_zero_less_or_too_many_places_are_refused() {
    let book = book_with_holds(&[(CURRENCY, "", "5")]);
    for make in [lock, unlock] {
        for order_id in [None, order("A")] {
            for (amount, rejection) in [
                ("0", Rejection::InvalidAmount),
                ("-1", Rejection::InvalidAmount),
                ("1e-13", Rejection::TooManyDecimals),
            ] {
                assert_eq!(run(&book, &make(amount, order_id.clone())), Err(rejection));
            }
        }
    }
}

#[test]
fn a_release_frees_what_is_left_of_the_orders_hold_on_that_account_alone() {
    let mut book = book_with_holds(&[
        (CURRENCY, "A", "600"),
        (CURRENCY, "B", "100"),
        (STOCK, "A", "1"),
    ]);
    let release = |account| Command::Release {
        account,
        order: "A".parse().expect("id"),
    };
    let done = effect(&mut book, &release(CURRENCY));
    assert!(done.postings.is_empty() && done.drift.is_empty());
    assert_eq!(state(&book, CURRENCY), pair("1000", "100"));
    assert_eq!(state(&book, STOCK), pair("10", "1"));
    let again = effect(&mut book, &release(CURRENCY));
    assert_eq!(again, Effect::default(), "nothing is left to release");
}
