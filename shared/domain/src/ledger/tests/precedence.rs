//! Tests of the precedence of rejections.

use super::*;

/// Every step adds a reason with a higher precedence, which must be returned.
#[test]
fn a_trade_returns_its_first_rejection() {
    let rejects =
        |trade: &Trade, expected| rejects(&book(), &Command::Trade(trade.clone()), expected);
    let mut wrong = trade(Side::Sell, "5", "1e17", "0");

    rejects(&wrong, Rejection::AmountOutOfRange);
    wrong.volume = number("50");
    rejects(&wrong, Rejection::InsufficientBalance);
    wrong.volume = number("50.0000000000001");
    rejects(&wrong, Rejection::TooManyDecimals);
    wrong.fee = number("-1");
    rejects(&wrong, Rejection::InvalidAmount);
    wrong.currency_account = STOCK;
    wrong.currency = asset("BTC");
    rejects(&wrong, Rejection::SameAccount);
    wrong.currency = asset("USDT");
    rejects(&wrong, Rejection::SymbolMismatch);
    wrong.currency_account = FOREIGN;
    rejects(&wrong, Rejection::OwnershipMismatch);
    wrong.fee_account = Some(ABSENT);
    rejects(&wrong, Rejection::UnknownSubAccount);
}

#[test]
fn a_movement_returns_its_first_rejection() {
    let rejects = |movement: &Movement, expected| {
        rejects(&book(), &Command::Move(movement.clone()), expected)
    };
    let mut wrong = movement(Direction::Debit, "1e17");

    rejects(&wrong, Rejection::InsufficientBalance);
    wrong.amount = number("100000000000000000.0000000000001");
    rejects(&wrong, Rejection::TooManyDecimals);
    wrong.amount = number("-0.0000000000001");
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
        })
    };
    let rejects = |command, expected| rejects(&book(), &command, expected);

    rejects(
        wrong(CURRENCY, "USDT", "1e30"),
        Rejection::UnlockExceedsLocked,
    );
    rejects(wrong(CURRENCY, "USDT", "1e-13"), Rejection::TooManyDecimals);
    rejects(wrong(CURRENCY, "USDT", "-1e-13"), Rejection::InvalidAmount);
    rejects(wrong(CURRENCY, "BTC", "-1e-13"), Rejection::SymbolMismatch);
    rejects(
        wrong(FOREIGN, "BTC", "-1e-13"),
        Rejection::OwnershipMismatch,
    );
    rejects(wrong(ABSENT, "BTC", "-1e-13"), Rejection::UnknownSubAccount);
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
            fee_account: Some(outside),
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

    let of_another_user = apply(&book(), OTHER_USER, TRADING, &good);
    assert_eq!(of_another_user, Err(Rejection::OwnershipMismatch));
    let of_another_trading = apply(&book(), OWNER, OTHER_TRADING, &good);
    assert_eq!(of_another_trading, Err(Rejection::OwnershipMismatch));
}

#[test]
fn rejections_are_listed_by_precedence() {
    assert!(Rejection::ALL.is_sorted());

    let codes = Rejection::ALL.map(|rejection| rejection.code());
    let expected = [
        "UNKNOWN_USER",
        "USER_DISABLED",
        "UNKNOWN_TRADING",
        "UNKNOWN_SUB_ACCOUNT",
        "OWNERSHIP_MISMATCH",
        "SYMBOL_MISMATCH",
        "SAME_ACCOUNT",
        "INVALID_AMOUNT",
        "TOO_MANY_DECIMALS",
        "INSUFFICIENT_BALANCE",
        "UNLOCK_EXCEEDS_LOCKED",
        "AMOUNT_OUT_OF_RANGE",
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
