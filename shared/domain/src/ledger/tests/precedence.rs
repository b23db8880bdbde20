//! Tests of the precedence of rejections.

use super::*;

/// Every step adds a reason with a higher precedence, which must be returned.
#[test]
fn a_trade_returns_its_first_rejection() {
    let rejects =
        |trade: &Trade, expected| rejects(&book(), &Command::Trade(trade.clone()), expected);
    let mut wrong = trade(Side::Sell, "5", "1e20", "0");

    rejects(&wrong, Rejection::AmountOutOfRange);
    wrong.volume = number("50");
    rejects(&wrong, Rejection::InsufficientBalance);
    wrong.price = number("-1");
    rejects(&wrong, Rejection::InvalidAmount);
    wrong.currency_account = STOCK;
    wrong.currency = asset("BTC");
    rejects(&wrong, Rejection::SameAccount);
    wrong.currency = asset("USDT");
    rejects(&wrong, Rejection::SymbolMismatch);
    wrong.currency_account = FOREIGN;
    rejects(&wrong, Rejection::OwnershipMismatch);
    wrong.fees.push(fee_of(ABSENT, "1"));
    rejects(&wrong, Rejection::UnknownSubAccount);
}

#[test]
fn a_movement_returns_its_first_rejection() {
    let rejects = |movement: &Movement, expected| {
        rejects(&book(), &Command::Move(movement.clone()), expected)
    };
    let mut wrong = movement(Direction::Debit, "1e21");

    rejects(&wrong, Rejection::InsufficientBalance);
    wrong.amount = number("-0.0000000000000000001");
    rejects(&wrong, Rejection::InvalidAmount);
    wrong.asset = asset("BTC");
    rejects(&wrong, Rejection::SymbolMismatch);
    wrong.account = ELSEWHERE;
    rejects(&wrong, Rejection::OwnershipMismatch);
    wrong.account = ABSENT;
    rejects(&wrong, Rejection::UnknownSubAccount);
}

#[test]
fn an_unlock_returns_its_first_rejection() {
    let wrong = |account, symbol, amount| {
        Command::Unlock(Hold {
            account,
            asset: asset(symbol),
            amount: number(amount),
            order: None,
            pair: None,
        })
    };
    let rejects = |command, expected| rejects(&book(), &command, expected);

    rejects(
        wrong(CURRENCY, "USDT", "1e30"),
        Rejection::UnlockExceedsLocked,
    );
    rejects(wrong(CURRENCY, "USDT", "1e-19"), Rejection::InvalidAmount);
    rejects(wrong(CURRENCY, "BTC", "-1"), Rejection::SymbolMismatch);
    rejects(wrong(FOREIGN, "BTC", "-1"), Rejection::OwnershipMismatch);
    rejects(wrong(ABSENT, "BTC", "-1"), Rejection::UnknownSubAccount);
}

#[test]
fn every_account_of_a_trade_must_belong_to_the_trading() {
    let good = trade(Side::Buy, "1", "1", "0");
    for outside in [ELSEWHERE, FOREIGN] {
        let stock = Trade {
            stock_account: outside,
            ..good.clone()
        };
        let currency = Trade {
            currency_account: outside,
            ..good.clone()
        };
        let fee = Trade {
            fees: vec![fee_of(outside, "0")],
            ..good.clone()
        };

        for bad in [stock, currency, fee] {
            let command = Command::Trade(bad);
            rejects(&book(), &command, Rejection::OwnershipMismatch);
        }
    }
}

#[test]
fn rejects_a_trade_of_another_user_or_trading() {
    let good = Command::Trade(trade(Side::Buy, "1", "1", "0"));

    for outcome in [
        apply(&book(), OTHER_USER, TRADING, &good, DateTime::UNIX_EPOCH),
        apply(&book(), OWNER, OTHER_TRADING, &good, DateTime::UNIX_EPOCH),
    ] {
        let rejected = outcome.expect_err("rejected");
        assert_eq!(rejected.rejection, Rejection::OwnershipMismatch);
        assert_eq!(rejected.details(), Some(&Details::Account(STOCK)));
    }
}

/// Asserts the reason of a rejection, in which `X` stands for the account.
#[track_caller]
fn has_reason(command: &Command, account: AccountId, expected: &str) {
    let holds = [hold(CURRENCY, "A", "600"), hold(CURRENCY, "", "100")];

    let rejected = run(&book_with_holds(&holds), command).expect_err("rejected");

    let expected = expected.replace('X', &account.to_string());
    assert_eq!(rejected.to_string(), expected);
}

#[test]
fn a_shortage_names_the_account_and_what_it_lacks() {
    let of_order = Command::Move(Movement {
        order: order("A"),
        ..movement(Direction::Debit, "1e21")
    });
    let fee_of_third = Command::Trade(Trade {
        fees: vec![fee_of(THIRD, "5.1")],
        ..trade(Side::Sell, "1", "1", "0")
    });

    for (command, account, amounts) in [
        (
            debit("300.5"),
            CURRENCY,
            "300.5 USDT needed on sub-account X, 300 available",
        ),
        (
            of_order,
            CURRENCY,
            "1000000000000000000000 USDT needed on sub-account X, 900 available",
        ),
        (
            lock("301", order("A")),
            CURRENCY,
            "301 USDT needed on sub-account X, 300 available",
        ),
        (
            fee_of_third,
            THIRD,
            "5.1 BNB needed on sub-account X, 5 available",
        ),
    ] {
        let expected = format!("the available balance is too small: {amounts}");
        has_reason(&command, account, &expected);
    }
    has_reason(
        &unlock("100.1", None),
        CURRENCY,
        "the amount to unlock is more than the hold: 100.1 USDT needed on sub-account X, 100 available",
    );
}

#[test]
fn a_rejection_names_the_account_that_does_not_fit() {
    let wrong_asset = Command::Move(Movement {
        asset: asset("BTC"),
        ..movement(Direction::Credit, "1")
    });
    let absent = Command::Record {
        account: Some(ABSENT),
    };

    has_reason(
        &wrong_asset,
        CURRENCY,
        "the symbol is not the sub-account's: sub-account X is in USDT, not in BTC",
    );
    has_reason(
        &absent,
        ABSENT,
        "the sub-account does not exist: sub-account X",
    );
    has_reason(
        &credit("1e20"),
        CURRENCY,
        "an amount or a balance would have more than 20 integer digits: sub-account X",
    );
}

#[test]
fn a_rejection_reveals_no_amount_of_a_foreign_account() {
    let beyond = Command::Move(Movement {
        account: FOREIGN,
        ..movement(Direction::Debit, "1e30")
    });

    let rejected = run(&book(), &beyond).expect_err("rejected");

    assert_eq!(rejected.details(), Some(&Details::Account(FOREIGN)));
}

#[test]
fn rejections_are_listed_by_precedence() {
    assert!(Rejection::ALL.is_sorted());

    let codes = Rejection::ALL.map(|rejection| rejection.code());
    let expected = [
        "USER_DELETED",
        "TRADING_DELETED",
        "ACCOUNT_DELETED",
        "UNKNOWN_USER",
        "USER_DISABLED",
        "UNKNOWN_TRADING",
        "UNKNOWN_SUB_ACCOUNT",
        "OWNERSHIP_MISMATCH",
        "SYMBOL_MISMATCH",
        "SAME_ACCOUNT",
        "INVALID_AMOUNT",
        "INSUFFICIENT_BALANCE",
        "UNLOCK_EXCEEDS_LOCKED",
        "AMOUNT_OUT_OF_RANGE",
        "ORDER_TOO_LARGE",
    ];

    assert_eq!(codes, expected);
}

#[test]
fn rejections_that_may_be_resolved_later_are_unresolved() {
    let mut unresolved = Rejection::ALL.to_vec();
    unresolved.retain(|rejection| rejection.is_unresolved());

    let expected = [
        Rejection::UnknownUser,
        Rejection::UserDisabled,
        Rejection::UnknownTrading,
        Rejection::UnknownSubAccount,
    ];
    assert_eq!(unresolved, expected);
}

#[test]
fn an_invalid_amount_is_named_with_its_account_and_asset() {
    let movement = Command::Move(movement(Direction::Credit, "-2"));
    let nothing = Command::Trade(trade(Side::Sell, "0", "0", "0"));
    let negative = Command::Trade(trade(Side::Sell, "1", "-3", "0"));

    for (command, account, symbol, given) in [
        (movement, CURRENCY, "USDT", "-2"),
        (nothing, STOCK, "BTC", "0"),
        (negative, CURRENCY, "USDT", "-3"),
    ] {
        let rejected = run(&book(), &command).expect_err("rejected");

        let details = Details::Amount {
            account,
            asset: asset(symbol),
            given: number(given),
        };
        assert_eq!(rejected.details(), Some(&details));
        let words = format!("{given} {symbol} given for sub-account {account}");
        assert!(rejected.to_string().ends_with(&words), "{rejected}");
    }
}
