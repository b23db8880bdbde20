//! Which rejection is returned when several apply.

use super::*;

/// Every step makes the command wrong in one more way; the rejection is always the one that comes first.
#[test]
fn a_trade_gets_the_first_of_its_rejections() {
    let refuses =
        |trade: &Trade, expected| refuses(&book(), &Command::Trade(trade.clone()), expected);
    let mut wrong = trade(Side::Sell, "5", "1e17", "0");

    refuses(&wrong, Rejection::AmountOutOfRange);
    wrong.volume = number("50");
    refuses(&wrong, Rejection::InsufficientBalance);
    wrong.volume = number("50.0000000000001");
    refuses(&wrong, Rejection::TooManyDecimals);
    wrong.fee = number("-1");
    refuses(&wrong, Rejection::InvalidAmount);
    wrong.currency_account = STOCK;
    wrong.currency = asset("BTC");
    refuses(&wrong, Rejection::SameAccount);
    wrong.currency = asset("USDT");
    refuses(&wrong, Rejection::SymbolMismatch);
    wrong.currency_account = FOREIGN;
    refuses(&wrong, Rejection::OwnershipMismatch);
    wrong.fee_account = Some(ABSENT);
    refuses(&wrong, Rejection::UnknownSubAccount);
}

#[test]
fn a_movement_gets_the_first_of_its_rejections() {
    let refuses = |movement: &Movement, expected| {
        refuses(&book(), &Command::Move(movement.clone()), expected)
    };
    let mut wrong = movement(Direction::Debit, "1e17");

    refuses(&wrong, Rejection::InsufficientBalance);
    wrong.amount = number("100000000000000000.0000000000001");
    refuses(&wrong, Rejection::TooManyDecimals);
    wrong.amount = number("-0.0000000000001");
    refuses(&wrong, Rejection::InvalidAmount);
    wrong.asset = asset("BTC");
    refuses(&wrong, Rejection::SymbolMismatch);
    wrong.account = ELSEWHERE;
    refuses(&wrong, Rejection::OwnershipMismatch);
    wrong.account = ABSENT;
    refuses(&wrong, Rejection::UnknownSubAccount);
}

#[test]
fn an_unlock_gets_the_first_of_its_rejections() {
    let wrong = |account, symbol, amount| Command::Unlock {
        account,
        asset: asset(symbol),
        amount: number(amount),
        order: None,
    };
    let refuses = |command, expected| refuses(&book(), &command, expected);

    refuses(
        wrong(CURRENCY, "USDT", "1e30"),
        Rejection::UnlockExceedsLocked,
    );
    refuses(wrong(CURRENCY, "USDT", "1e-13"), Rejection::TooManyDecimals);
    refuses(wrong(CURRENCY, "USDT", "-1e-13"), Rejection::InvalidAmount);
    refuses(wrong(CURRENCY, "BTC", "-1e-13"), Rejection::SymbolMismatch);
    refuses(
        wrong(FOREIGN, "BTC", "-1e-13"),
        Rejection::OwnershipMismatch,
    );
    refuses(wrong(ABSENT, "BTC", "-1e-13"), Rejection::UnknownSubAccount);
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
            refuses(&book(), &command, Rejection::OwnershipMismatch);
        }
    }
}

#[test]
fn a_trade_of_another_user_or_trading_is_refused() {
    let good = Command::Trade(trade(Side::Buy, "1", "1", "0"));

    let of_another_user = apply(&book(), OTHER_USER, TRADING, &good);
    assert_eq!(of_another_user, Err(Rejection::OwnershipMismatch));
    let of_another_trading = apply(&book(), OWNER, OTHER_TRADING, &good);
    assert_eq!(of_another_trading, Err(Rejection::OwnershipMismatch));
}

#[test]
fn the_list_of_rejections_is_in_the_order_of_their_precedence() {
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
fn what_may_be_resolved_later_is_unresolved() {
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
