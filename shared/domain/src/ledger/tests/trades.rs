//! Tests of trades: legs, fees and holds.

use super::*;

fn settle(trade: Trade) -> Result<Effect, Rejection> {
    run(&book(), &Command::Trade(trade))
}

fn settled(trade: Trade) -> Effect {
    settle(trade).expect("applied")
}

fn lines(trade: Trade) -> Vec<String> {
    postings(&settled(trade))
}

#[track_caller]
fn rejects_trade(trade: Trade, expected: Rejection) {
    rejects(&book(), &Command::Trade(trade), expected);
}

/// Returns a trade whose fee is paid by an account.
fn paid_by(payer: AccountId, trade: Trade) -> Trade {
    Trade {
        fee_account: Some(payer),
        ..trade
    }
}

/// Returns a trade with the quote amount that the exchange reports.
fn quoted(amount: &str, trade: Trade) -> Trade {
    Trade {
        quote_amount: Some(number(amount)),
        ..trade
    }
}

#[test]
fn a_long_credits_stock_and_debits_currency_with_the_fee() {
    let effect = settled(trade(Side::Buy, "2", "100.5", "0.3"));

    let expected = ["credit 1 2 long = 12 #1", "debit 2 201.3 long = 798.7 #1"];
    assert_eq!(postings(&effect), expected);
    for posting in &effect.postings {
        assert_eq!(posting.price, Some(money("100.5")));
        assert_eq!(posting.quote, Some(asset("USDT")));
    }
}

#[test]
fn the_quote_amount_precedes_the_product() {
    let long = trade(Side::Buy, "2", "100.5", "0.3");

    let exact = lines(quoted("200.999999999999", long));

    let expected = "debit 2 201.299999999999 long = 798.700000000001 #1";
    assert_eq!(exact[1], expected);
}

#[test]
fn a_short_debits_stock_and_credits_currency_less_the_fee() {
    let short = trade(Side::Sell, "2", "100.5", "0.3");
    let stop = Trade {
        reason: "stop_loss",
        ..short.clone()
    };

    let expected = ["debit 1 2 short = 8 #1", "credit 2 200.7 short = 1200.7 #1"];
    assert_eq!(lines(short), expected);
    let expected = [
        "debit 1 2 stop_loss = 8 #1",
        "credit 2 200.7 stop_loss = 1200.7 #1",
    ];
    assert_eq!(lines(stop), expected);
}

#[test]
fn the_posting_that_pays_a_fee_states_it() {
    let fees = |trade| -> Vec<Option<Money>> {
        let postings = settled(trade).postings;
        postings.into_iter().map(|posting| posting.fee).collect()
    };
    let long = trade(Side::Buy, "2", "100.5", "0.3");
    let short = trade(Side::Sell, "2", "100.5", "0.3");
    let free = trade(Side::Sell, "2", "100.5", "0");
    let fee = Some(money("0.3"));

    assert_eq!(fees(long.clone()), [None, fee]);
    assert_eq!(fees(short), [None, fee]);
    assert_eq!(fees(free), [None, None]);
    for payer in [STOCK, THIRD] {
        assert_eq!(fees(paid_by(payer, long.clone())), [None, None, fee]);
    }
}

#[test]
fn the_product_is_rounded_once() {
    let mut rich = book();
    rich.insert(account(CURRENCY, OWNER, TRADING, "USDT", "2000000500"));
    let vector = trade(Side::Buy, "1000.000500000999", "1000000.000003002994", "0");

    let effect = run(&rich, &Command::Trade(vector)).expect("applied");

    assert_eq!(effect.postings[1].amount, money("1000000500.004001995501"));
}

#[test]
fn the_product_is_rounded_half_to_even() {
    let proceeds = |price| {
        let effect = settled(trade(Side::Sell, "0.000001", price, "0"));
        effect.postings[1].amount
    };

    assert_eq!(proceeds("0.0000025"), money("0.000000000002"));
    assert_eq!(proceeds("0.0000035"), money("0.000000000004"));
}

#[test]
fn a_buy_needs_cost_and_fee_and_a_sell_needs_the_stock() {
    assert!(settle(trade(Side::Buy, "1", "999", "1")).is_ok());
    assert!(settle(trade(Side::Sell, "10", "1", "0")).is_ok());
    for refused in [
        trade(Side::Buy, "1", "999", "1.000000000001"),
        trade(Side::Buy, "1", "1000.000000000001", "0"),
        trade(Side::Buy, "1e15", "1e15", "0"),
        trade(Side::Sell, "10.000000000001", "1", "0"),
        trade(Side::Sell, "1e64", "1", "0"),
    ] {
        rejects_trade(refused, Rejection::InsufficientBalance);
    }
}

#[test]
fn rejects_a_sell_whose_proceeds_do_not_cover_the_fee() {
    let sell = trade(Side::Sell, "1", "2", "2.000000000001");
    let named = paid_by(CURRENCY, sell.clone());
    let absurd = quoted("1e60", trade(Side::Sell, "1", "2", "1e61"));

    for refused in [sell.clone(), named, absurd] {
        rejects_trade(refused, Rejection::InsufficientBalance);
    }

    let expected = [
        "debit 1 1 short = 9 #1",
        "credit 2 2 short = 1002 #1",
        "debit 3 2.000000000001 fee = 2.999999999999 #1",
    ];
    assert_eq!(lines(paid_by(THIRD, sell)), expected);
}

#[test]
fn a_sell_whose_proceeds_equal_its_fee_has_one_leg() {
    let sell = trade(Side::Sell, "1", "2", "2");

    assert_eq!(lines(sell), ["debit 1 1 short = 9 #1"]);
}

#[test]
fn a_separate_fee_is_the_last_posting() {
    let buy = trade(Side::Buy, "1", "100", "0.5");

    let effect = settled(paid_by(THIRD, buy.clone()));
    let expected = [
        "credit 1 1 long = 11 #1",
        "debit 2 100 long = 900 #1",
        "debit 3 0.5 fee = 4.5 #1",
    ];
    assert_eq!(postings(&effect), expected);
    assert_eq!(effect.postings[2].price, None);
    assert_eq!(effect.postings[2].quote, None);

    let expected = [
        "credit 1 1 long = 11 #1",
        "debit 2 100 long = 900 #1",
        "debit 1 0.5 fee = 10.5 #2",
    ];
    assert_eq!(lines(paid_by(STOCK, buy)), expected);

    let free = paid_by(THIRD, trade(Side::Buy, "1", "100", "0"));
    assert_eq!(lines(free).len(), 2, "no fee, no posting");
}

#[test]
fn a_separate_fee_is_checked_after_the_other_legs() {
    let paid = |payer, side, fee| paid_by(payer, trade(side, "4", "1", fee));

    // Bought stock can pay the fee.
    for applied in [
        paid(STOCK, Side::Buy, "14"),
        paid(STOCK, Side::Sell, "6"),
        paid(THIRD, Side::Buy, "5"),
    ] {
        assert!(settle(applied.clone()).is_ok(), "{applied:?}");
    }
    for refused in [
        paid(STOCK, Side::Buy, "14.1"),
        paid(STOCK, Side::Sell, "6.1"),
        paid(THIRD, Side::Buy, "5.1"),
    ] {
        rejects_trade(refused, Rejection::InsufficientBalance);
    }
}

#[test]
fn a_fill_consumes_the_holds_of_its_order_first() {
    let mut book = book_with_holds(&[
        hold(CURRENCY, "A", "100"),
        hold(CURRENCY, "B", "800"),
        hold(STOCK, "A", "1"),
        hold(THIRD, "A", "3"),
    ]);
    let fill = Command::Trade(Trade {
        order: order("A"),
        ..paid_by(THIRD, trade(Side::Buy, "1", "200", "4"))
    });

    effect(&mut book, &fill);

    // 100 from the hold, 100 from the available balance.
    assert_eq!(state(&book, CURRENCY), "800, 800 locked");
    assert_eq!(state(&book, THIRD), "1, 0 locked");
    // A credit consumes no hold.
    assert_eq!(state(&book, STOCK), "11, 1 locked");
    // B's hold is not A's.
    rejects(&book, &fill, Rejection::InsufficientBalance);
}

#[test]
fn a_sell_with_a_fee_in_stock_consumes_the_hold_in_both_legs() {
    let mut book = book_with_holds(&[hold(STOCK, "A", "3")]);
    let fill = Trade {
        order: order("A"),
        ..paid_by(STOCK, trade(Side::Sell, "2", "1", "0.5"))
    };

    let done = effect(&mut book, &Command::Trade(fill));

    assert_eq!(state(&book, STOCK), "7.5, 0.5 locked");
    assert_eq!(done.holds.last().expect("changed").amount, money("0.5"));
}

#[test]
fn a_leg_that_rounds_to_zero_has_no_posting() {
    let dust = trade(Side::Buy, "0.000000000001", "0.1", "0");
    let gift = quoted("5", trade(Side::Buy, "0", "1", "0"));
    let fee_within = trade(Side::Buy, "0", "1", "0.5");
    let fee_alone = paid_by(THIRD, trade(Side::Sell, "0", "1", "0.5"));

    for (trade, expected) in [
        (dust, "credit 1 0.000000000001 long = 10.000000000001 #1"),
        (gift, "debit 2 5 long = 995 #1"),
        (fee_within, "debit 2 0.5 long = 999.5 #1"),
        (fee_alone, "debit 3 0.5 fee = 4.5 #1"),
    ] {
        assert_eq!(lines(trade), [expected]);
    }
}

#[test]
fn rejects_a_trade_without_legs() {
    for nothing in [
        trade(Side::Buy, "0", "1", "0"),
        trade(Side::Sell, "0", "0", "0"),
        paid_by(THIRD, trade(Side::Sell, "0", "1", "0")),
        quoted("5", trade(Side::Sell, "0", "1", "5")),
    ] {
        rejects_trade(nothing, Rejection::InvalidAmount);
    }
}

#[test]
fn rejects_negative_figures_of_a_trade() {
    for bad in [
        trade(Side::Sell, "-1", "1", "0"),
        trade(Side::Sell, "1", "-1", "0"),
        trade(Side::Sell, "1", "1", "-1e-64"),
        quoted("-1", trade(Side::Sell, "1", "1", "0")),
    ] {
        rejects_trade(bad, Rejection::InvalidAmount);
    }
}

#[test]
fn rejects_amounts_with_more_than_twelve_places() {
    for bad in [
        trade(Side::Sell, "1.0000000000001", "1", "0"),
        trade(Side::Sell, "1", "1", "0.0000000000001"),
        quoted("0.0000000000001", trade(Side::Sell, "1", "1", "0")),
    ] {
        rejects_trade(bad, Rejection::TooManyDecimals);
    }
}

#[test]
fn a_price_may_have_more_than_twelve_places() {
    let effect = settled(trade(Side::Buy, "1", "0.30000000000000004", "0"));

    assert_eq!(postings(&effect)[1], "debit 2 0.3 long = 999.7 #1");
    assert_eq!(effect.postings[1].price, Some(money("0.3")));
}

#[test]
fn rejects_figures_out_of_range_with_any_difference() {
    for refused in [
        trade(Side::Sell, "1", "1e16", "0"),
        trade(Side::Buy, "1e16", "0", "0"),
        quoted("1", trade(Side::Sell, "1", "1e16", "0")),
        quoted("10000000000000005", trade(Side::Sell, "1", "1", "1e16")),
        quoted("2e60", trade(Side::Sell, "1", "1", "1e60")),
        quoted("1e60", trade(Side::Sell, "1", "1", "1e60")),
    ] {
        rejects_trade(refused, Rejection::AmountOutOfRange);
    }
}

#[test]
fn the_symbols_must_match_the_accounts() {
    let good = trade(Side::Buy, "1", "1", "0");
    let other_stock = Trade {
        stock: asset("ETH"),
        ..good.clone()
    };
    let other_currency = Trade {
        currency: asset("USDC"),
        ..good.clone()
    };
    let swapped = Trade {
        stock_account: CURRENCY,
        currency_account: STOCK,
        ..good
    };

    for bad in [other_stock, other_currency, swapped] {
        rejects_trade(bad, Rejection::SymbolMismatch);
    }
}

#[test]
fn stock_and_currency_must_be_different_accounts() {
    let same = Trade {
        stock_account: CURRENCY,
        stock: asset("USDT"),
        ..trade(Side::Buy, "1", "1", "0")
    };

    rejects_trade(same, Rejection::SameAccount);
}
