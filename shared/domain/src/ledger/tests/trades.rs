//! Tests of trades: legs, fees and holds.

use super::*;

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
        assert_eq!(posting.price, Some(number("100.5").into()));
        assert_eq!(posting.quote, Some(asset("USDT")));
    }
}

#[test]
fn the_quote_amount_precedes_the_product() {
    let long = trade(Side::Buy, "2", "100.5", "0.3");

    let exact = lines(quoted("200.999999999999999999", long));

    let expected = "debit 2 201.299999999999999999 long = 798.700000000000000001 #1";
    assert_eq!(exact[1], expected);
}

#[test]
fn a_price_of_zero_beside_a_quote_amount_is_no_price() {
    let price_of = |trade| {
        let price = settled(trade).postings[0].price.clone();
        price.map(|price| price.to_string())
    };
    let third = quoted("1", trade(Side::Buy, "3", "0", "0"));
    let only_money = quoted("5", trade(Side::Buy, "0", "0", "0"));
    let gift = trade(Side::Buy, "3", "0", "0");

    let forty_digits = format!("0.{}", "3".repeat(40));
    assert_eq!(price_of(third), Some(forty_digits));
    assert_eq!(price_of(only_money), None);
    assert_eq!(price_of(gift), Some("0".to_owned()));
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
fn the_product_is_rounded_once() {
    let mut rich = book();
    rich.insert(account(CURRENCY, OWNER, TRADING, "USDT", "2000000500"));
    let vector = trade(
        Side::Buy,
        "1000.000000500000999",
        "1000000.000000003002994",
        "0",
    );

    let effect = run(&rich, &Command::Trade(vector)).expect("applied");

    let cost = money("1000000000.500004001994001501");
    assert_eq!(effect.postings[1].amount, cost);
    assert!(effect.drift.is_empty(), "{effect:?}");
}

#[test]
fn the_product_is_rounded_half_to_even() {
    let proceeds = |price| {
        let effect = settled(trade(Side::Sell, "1e-9", price, "0"));
        effect.postings[1].amount
    };

    assert_eq!(proceeds("0.0000000025"), money("0.000000000000000002"));
    assert_eq!(proceeds("0.0000000035"), money("0.000000000000000004"));
}

#[test]
fn a_buy_needs_cost_and_fee_and_a_sell_needs_the_stock() {
    assert!(settle(trade(Side::Buy, "1", "999", "1")).is_ok());
    assert!(settle(trade(Side::Sell, "10", "1", "0")).is_ok());
    for refused in [
        trade(Side::Buy, "1", "999", "1.000000000000000001"),
        trade(Side::Buy, "1", "1000.000000000000000001", "0"),
        trade(Side::Buy, "1e19", "1e19", "0"),
        trade(Side::Sell, "10.000000000000000001", "1", "0"),
        trade(Side::Sell, "1e64", "1", "0"),
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
    assert_eq!(
        done.holds.last().expect("changed").held.amount,
        money("0.5")
    );
}

#[test]
fn a_leg_that_rounds_to_zero_has_no_posting() {
    let dust = trade(Side::Buy, "1e-18", "0.1", "0");
    let gift = quoted("5", trade(Side::Buy, "0", "1", "0"));
    let fee_within = trade(Side::Buy, "0", "1", "0.5");
    let fee_alone = paid_by(THIRD, trade(Side::Sell, "0", "1", "0.5"));

    for (trade, expected) in [
        (
            dust,
            "credit 1 0.000000000000000001 long = 10.000000000000000001 #1",
        ),
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
        trade(Side::Sell, "1e-19", "1", "1e-19"),
    ] {
        rejects_trade(nothing, Rejection::InvalidAmount);
    }
}

#[test]
fn rejects_negative_figures_of_a_trade() {
    for bad in [
        trade(Side::Sell, "-1", "1", "0"),
        trade(Side::Sell, "1", "-1", "0"),
        quoted("-1", trade(Side::Sell, "1", "1", "0")),
    ] {
        rejects_trade(bad, Rejection::InvalidAmount);
    }
}

#[test]
fn the_amounts_of_a_trade_are_rounded_and_what_is_lost_is_drift() {
    let listed = Fee {
        position: Some(1),
        ..fee_of(THIRD, "-0.1000000000000000003")
    };
    let mut fill = quoted(
        "1.0000000000000000001",
        trade(
            Side::Sell,
            "1.0000000000000000004",
            "1",
            "0.10000000000000000049",
        ),
    );
    fill.fees.push(listed);

    let effect = settled(fill);

    let expected = [
        "debit 1 1 short = 9 #1",
        "credit 2 0.9 short = 1000.9 #1",
        "credit 3 0.1 rebate = 5.1 #1",
    ];
    assert_eq!(postings(&effect), expected);
    let lost = [
        "fill.volume 0.0000000000000000004",
        "fill.quote_amount 0.0000000000000000001",
        "fill.fee 0.00000000000000000049",
        "fill.fees[1].amount -0.0000000000000000003",
    ];
    assert_eq!(drift(&effect), lost);
}

#[test]
fn a_price_is_kept_as_given() {
    let effect = settled(trade(Side::Buy, "1", "0.30000000000000000004", "0"));

    assert_eq!(postings(&effect)[1], "debit 2 0.3 long = 999.7 #1");
    assert_eq!(
        effect.postings[1].price,
        Some(number("0.30000000000000000004").into())
    );
}

#[test]
fn rejects_figures_out_of_range_with_any_difference() {
    for refused in [
        trade(Side::Sell, "1", "1e20", "0"),
        trade(Side::Buy, "1e20", "0", "0"),
        quoted("100000000000000000005", trade(Side::Sell, "1", "1", "1e20")),
        quoted("2e60", trade(Side::Sell, "1", "1", "1e60")),
        quoted("1e60", trade(Side::Sell, "1", "1", "1e60")),
        trade(Side::Sell, "1", "1", "-1e20"),
    ] {
        rejects_trade(refused, Rejection::AmountOutOfRange);
    }
}

#[test]
fn a_price_may_exceed_the_range_of_amounts() {
    let sell = quoted("1", trade(Side::Sell, "1", "1e40", "0"));

    assert_eq!(settled(sell).postings[0].price, Some(number("1e40").into()));
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
