//! Which rejection is told when several apply.

use super::*;

/// Every step makes the command wrong in one more way; the rejection told is always the one that comes first.
#[test]
fn of_several_rejections_of_a_trade_the_first_in_the_list_is_told() {
    let mut wrong = trade(Side::Sell, "5", "1e17", "0");
    assert_eq!(
        run(&book(), &Command::Trade(wrong.clone())),
        Err(Rejection::AmountOutOfRange)
    );
    wrong.volume = number("50");
    assert_eq!(
        run(&book(), &Command::Trade(wrong.clone())),
        Err(Rejection::InsufficientBalance)
    );
    wrong.volume = number("50.0000000000001");
    assert_eq!(
        run(&book(), &Command::Trade(wrong.clone())),
        Err(Rejection::TooManyDecimals)
    );
    wrong.fee = number("-1");
    assert_eq!(
        run(&book(), &Command::Trade(wrong.clone())),
        Err(Rejection::InvalidAmount)
    );
    wrong.currency_account = STOCK;
    wrong.currency = asset("BTC");
    assert_eq!(
        run(&book(), &Command::Trade(wrong.clone())),
        Err(Rejection::SameAccount)
    );
    wrong.currency = asset("USDT");
    assert_eq!(
        run(&book(), &Command::Trade(wrong.clone())),
        Err(Rejection::SymbolMismatch)
    );
    wrong.currency_account = FOREIGN;
    assert_eq!(
        run(&book(), &Command::Trade(wrong.clone())),
        Err(Rejection::OwnershipMismatch)
    );
    wrong.fee_account = Some(ABSENT);
    assert_eq!(
        run(&book(), &Command::Trade(wrong)),
        Err(Rejection::UnknownSubAccount)
    );
}

#[test]
fn of_several_rejections_of_a_movement_the_first_in_the_list_is_told() {
    let mut wrong = movement(Direction::Debit, "1e17");
    assert_eq!(
        run(&book(), &Command::Move(wrong.clone())),
        Err(Rejection::InsufficientBalance)
    );
    wrong.amount = number("100000000000000000.0000000000001");
    assert_eq!(
        run(&book(), &Command::Move(wrong.clone())),
        Err(Rejection::TooManyDecimals)
    );
    wrong.amount = number("-0.0000000000001");
    assert_eq!(
        run(&book(), &Command::Move(wrong.clone())),
        Err(Rejection::InvalidAmount)
    );
    wrong.asset = asset("BTC");
    assert_eq!(
        run(&book(), &Command::Move(wrong.clone())),
        Err(Rejection::SymbolMismatch)
    );
    wrong.account = ELSEWHERE;
    assert_eq!(
        run(&book(), &Command::Move(wrong.clone())),
        Err(Rejection::OwnershipMismatch)
    );
    wrong.account = ABSENT;
    assert_eq!(
        run(&book(), &Command::Move(wrong)),
        Err(Rejection::UnknownSubAccount)
    );
}

#[test]
fn of_several_rejections_of_an_unlock_the_first_in_the_list_is_told() {
    let wrong = |account, symbol, amount| Command::Unlock {
        account,
        asset: asset(symbol),
        amount: number(amount),
        order: None,
    };
    for (command, rejection) in [
        (
            wrong(CURRENCY, "USDT", "1e30"),
            Rejection::UnlockExceedsLocked,
        ),
        (wrong(CURRENCY, "USDT", "1e-13"), Rejection::TooManyDecimals),
        (wrong(CURRENCY, "USDT", "-1e-13"), Rejection::InvalidAmount),
        (wrong(CURRENCY, "BTC", "-1e-13"), Rejection::SymbolMismatch),
        (
            wrong(FOREIGN, "BTC", "-1e-13"),
            Rejection::OwnershipMismatch,
        ),
        (wrong(ABSENT, "BTC", "-1e-13"), Rejection::UnknownSubAccount),
    ] {
        assert_eq!(run(&book(), &command), Err(rejection));
    }
}

#[test]
fn every_account_of_a_trade_must_belong_to_the_trading_and_the_user() {
    let good = trade(Side::Buy, "1", "1", "0");
    for outside in [ELSEWHERE, FOREIGN] {
        for bad in [
            Trade {
                stock_account: outside,
                ..good.clone()
            },
            Trade {
                currency_account: outside,
                ..good.clone()
            },
            Trade {
                fee_account: Some(outside),
                ..good.clone()
            },
        ] {
            assert_eq!(
                run(&book(), &Command::Trade(bad)),
                Err(Rejection::OwnershipMismatch)
            );
        }
    }
    let good = Command::Trade(good);
    assert_eq!(
        apply(&book(), OTHER_USER, TRADING, &good),
        Err(Rejection::OwnershipMismatch)
    );
    assert_eq!(
        apply(&book(), OWNER, OTHER_TRADING, &good),
        Err(Rejection::OwnershipMismatch)
    );
}

#[test]
fn the_list_of_rejections_is_in_the_order_of_their_precedence() {
    assert!(Rejection::ALL.is_sorted());
    let codes: Vec<_> = Rejection::ALL
        .iter()
        .map(|rejection| rejection.code())
        .collect();
    assert_eq!(
        codes.join(" "),
        "UNKNOWN_USER USER_DISABLED UNKNOWN_TRADING UNKNOWN_SUB_ACCOUNT OWNERSHIP_MISMATCH SYMBOL_MISMATCH \
         SAME_ACCOUNT INVALID_AMOUNT TOO_MANY_DECIMALS INSUFFICIENT_BALANCE UNLOCK_EXCEEDS_LOCKED \
         AMOUNT_OUT_OF_RANGE"
    );
    let unresolved: Vec<_> = Rejection::ALL
        .into_iter()
        .filter(|rejection| rejection.is_unresolved())
        .collect();
    assert_eq!(
        unresolved,
        [
            Rejection::UnknownUser,
            Rejection::UserDisabled,
            Rejection::UnknownTrading,
            Rejection::UnknownSubAccount
        ]
    );
}
