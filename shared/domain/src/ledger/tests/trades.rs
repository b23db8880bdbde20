//! Trades: legs, fees, holds.

use super::*;

fn settle(trade: Trade) -> Result<Effect, Rejection> {
    run(&book(), &Command::Trade(trade))
}

fn lines(trade: Trade) -> Vec<String> {
    told(&settle(trade).expect("applied"))
}

#[test]
fn a_long_brings_stock_and_costs_currency_with_the_fee_in_the_same_leg() {
    let long = trade(Side::Buy, "2", "100.5", "0.3");
    let effect = settle(long.clone()).expect("applied");
    assert_eq!(
        told(&effect),
        ["credit 1 2 long = 12 #1", "debit 2 201.3 long = 798.7 #1"]
    );
    for posting in &effect.postings {
        assert_eq!(
            (posting.price, posting.quote.clone()),
            (Some(money("100.5")), Some(asset("USDT")))
        );
    }
    let exact = Trade {
        quote_amount: Some(number("200.999999999999")),
        ..long
    };
    assert_eq!(
        lines(exact)[1],
        "debit 2 201.299999999999 long = 798.700000000001 #1"
    );
}

#[test]
fn a_short_and_a_stop_loss_take_stock_and_bring_currency_less_the_fee() {
    let short = trade(Side::Sell, "2", "100.5", "0.3");
    assert_eq!(
        lines(short.clone()),
        ["debit 1 2 short = 8 #1", "credit 2 200.7 short = 1200.7 #1"]
    );
    let stop = Trade {
        reason: "stop_loss",
        ..short
    };
    assert_eq!(
        lines(stop),
        [
            "debit 1 2 stop_loss = 8 #1",
            "credit 2 200.7 stop_loss = 1200.7 #1"
        ]
    );
}

#[test]
fn the_posting_that_pays_a_fee_says_how_much_it_is() {
    let fees = |trade| {
        let postings = settle(trade).expect("applied").postings;
        postings
            .iter()
            .map(|posting| posting.fee)
            .collect::<Vec<_>>()
    };
    let long = trade(Side::Buy, "2", "100.5", "0.3");
    assert_eq!(fees(long.clone()), [None, Some(money("0.3"))]);
    assert_eq!(
        fees(trade(Side::Sell, "2", "100.5", "0.3")),
        [None, Some(money("0.3"))]
    );
    assert_eq!(fees(trade(Side::Sell, "2", "100.5", "0")), [None, None]);
    for payer in [STOCK, THIRD] {
        let apart = Trade {
            fee_account: Some(payer),
            ..long.clone()
        };
        assert_eq!(fees(apart), [None, None, Some(money("0.3"))]);
    }
}

#[test]
fn the_product_is_rounded_once_and_half_to_even() {
    let mut rich = book();
    rich.insert(account(CURRENCY, OWNER, TRADING, "USDT", "2000000500"));
    let vector = trade(Side::Buy, "1000.000500000999", "1000000.000003002994", "0");
    let effect = run(&rich, &Command::Trade(vector)).expect("applied");
    assert_eq!(effect.postings[1].amount, money("1000000500.004001995501"));
    let half = |price| {
        settle(trade(Side::Sell, "0.000001", price, "0"))
            .expect("applied")
            .postings[1]
            .amount
    };
    assert_eq!(half("0.0000025"), money("0.000000000002"));
    assert_eq!(half("0.0000035"), money("0.000000000004"));
}

#[test]
fn a_buy_needs_cost_and_fee_and_a_sell_needs_the_stock() {
    assert!(settle(trade(Side::Buy, "1", "999", "1")).is_ok());
    for refused in [
        trade(Side::Buy, "1", "999", "1.000000000001"),
        trade(Side::Buy, "1", "1000.000000000001", "0"),
        trade(Side::Buy, "1e15", "1e15", "0"),
        trade(Side::Sell, "10.000000000001", "1", "0"),
        trade(Side::Sell, "1e64", "1", "0"),
    ] {
        assert_eq!(settle(refused), Err(Rejection::InsufficientBalance));
    }
    assert!(settle(trade(Side::Sell, "10", "1", "0")).is_ok());
}

#[test]
fn a_sell_whose_proceeds_do_not_cover_the_fee_is_refused_when_currency_pays_it() {
    let sell = trade(Side::Sell, "1", "2", "2.000000000001");
    assert_eq!(settle(sell.clone()), Err(Rejection::InsufficientBalance));
    let named = Trade {
        fee_account: Some(CURRENCY),
        ..sell.clone()
    };
    assert_eq!(
        settle(named),
        Err(Rejection::InsufficientBalance),
        "naming the currency account is the default"
    );
    let third = Trade {
        fee_account: Some(THIRD),
        ..sell
    };
    let expected = [
        "debit 1 1 short = 9 #1",
        "credit 2 2 short = 1002 #1",
        "debit 3 2.000000000001 fee = 2.999999999999 #1",
    ];
    assert_eq!(lines(third), expected);
    assert_eq!(
        lines(trade(Side::Sell, "1", "2", "2")),
        ["debit 1 1 short = 9 #1"],
        "nothing is left for currency"
    );
    let absurd = Trade {
        quote_amount: Some(number("1e60")),
        ..trade(Side::Sell, "1", "2", "1e61")
    };
    assert_eq!(settle(absurd), Err(Rejection::InsufficientBalance));
}

#[test]
fn a_separate_fee_is_a_posting_of_its_own_and_comes_last() {
    let third = Trade {
        fee_account: Some(THIRD),
        ..trade(Side::Buy, "1", "100", "0.5")
    };
    let effect = settle(third.clone()).expect("applied");
    let expected = [
        "credit 1 1 long = 11 #1",
        "debit 2 100 long = 900 #1",
        "debit 3 0.5 fee = 4.5 #1",
    ];
    assert_eq!(told(&effect), expected);
    assert_eq!(
        (effect.postings[2].price, effect.postings[2].quote.clone()),
        (None, None)
    );

    let stock = Trade {
        fee_account: Some(STOCK),
        ..third.clone()
    };
    let expected = [
        "credit 1 1 long = 11 #1",
        "debit 2 100 long = 900 #1",
        "debit 1 0.5 fee = 10.5 #2",
    ];
    assert_eq!(lines(stock), expected);

    let free = Trade {
        fee: number("0"),
        ..third
    };
    assert_eq!(lines(free).len(), 2, "no fee, no posting");
}

#[test]
fn a_separate_fee_is_checked_after_the_other_legs() {
    let from_stock = |side, fee| Trade {
        fee_account: Some(STOCK),
        ..trade(side, "4", "1", fee)
    };
    assert!(
        settle(from_stock(Side::Buy, "14")).is_ok(),
        "bought stock can pay the fee"
    );
    assert_eq!(
        settle(from_stock(Side::Buy, "14.1")),
        Err(Rejection::InsufficientBalance)
    );
    assert!(settle(from_stock(Side::Sell, "6")).is_ok());
    assert_eq!(
        settle(from_stock(Side::Sell, "6.1")),
        Err(Rejection::InsufficientBalance)
    );
    let from_third = |fee| Trade {
        fee_account: Some(THIRD),
        ..trade(Side::Buy, "4", "1", fee)
    };
    assert!(settle(from_third("5")).is_ok());
    assert_eq!(
        settle(from_third("5.1")),
        Err(Rejection::InsufficientBalance)
    );
}

#[test]
fn a_fill_consumes_the_hold_of_its_order_first_on_every_account_that_pays() {
    let mut book = book_with_holds(&[
        (CURRENCY, "A", "100"),
        (CURRENCY, "B", "800"),
        (STOCK, "A", "1"),
        (THIRD, "A", "3"),
    ]);
    let fill = Trade {
        order: order("A"),
        fee_account: Some(THIRD),
        ..trade(Side::Buy, "1", "200", "4")
    };
    effect(&mut book, &Command::Trade(fill.clone()));
    assert_eq!(
        state(&book, CURRENCY),
        pair("800", "800"),
        "100 came from the hold, 100 from what was available"
    );
    assert_eq!(state(&book, THIRD), pair("1", "0"));
    assert_eq!(
        state(&book, STOCK),
        pair("11", "1"),
        "what is credited consumes no hold"
    );
    assert_eq!(
        run(&book, &Command::Trade(fill)),
        Err(Rejection::InsufficientBalance),
        "B's hold is not A's"
    );
}

#[test]
fn a_sell_whose_fee_is_paid_in_stock_consumes_the_hold_across_both_legs() {
    let mut book = book_with_holds(&[(STOCK, "A", "3")]);
    let fill = Trade {
        order: order("A"),
        fee_account: Some(STOCK),
        ..trade(Side::Sell, "2", "1", "0.5")
    };
    let done = effect(&mut book, &Command::Trade(fill));
    assert_eq!(state(&book, STOCK), pair("7.5", "0.5"));
    assert_eq!(done.holds.last().expect("changed").amount, money("0.5"));
}

#[test]
fn a_leg_that_rounds_to_zero_is_left_out_and_a_trade_without_legs_is_refused() {
    let dust = trade(Side::Buy, "0.000000000001", "0.1", "0");
    assert_eq!(
        lines(dust),
        ["credit 1 0.000000000001 long = 10.000000000001 #1"]
    );
    let gift = Trade {
        quote_amount: Some(number("5")),
        ..trade(Side::Buy, "0", "1", "0")
    };
    assert_eq!(lines(gift), ["debit 2 5 long = 995 #1"]);
    assert_eq!(
        lines(trade(Side::Buy, "0", "1", "0.5")),
        ["debit 2 0.5 long = 999.5 #1"]
    );
    let fee_alone = Trade {
        fee_account: Some(THIRD),
        ..trade(Side::Sell, "0", "1", "0.5")
    };
    assert_eq!(lines(fee_alone), ["debit 3 0.5 fee = 4.5 #1"]);
    for nothing in [
        trade(Side::Buy, "0", "1", "0"),
        trade(Side::Sell, "0", "0", "0"),
        Trade {
            fee_account: Some(THIRD),
            ..trade(Side::Sell, "0", "1", "0")
        },
        Trade {
            quote_amount: Some(number("5")),
            ..trade(Side::Sell, "0", "1", "5")
        },
    ] {
        assert_eq!(settle(nothing), Err(Rejection::InvalidAmount));
    }
}

#[test]
fn negative_figures_of_a_trade_are_invalid() {
    let good = trade(Side::Sell, "1", "1", "0");
    for bad in [
        Trade {
            volume: number("-1"),
            ..good.clone()
        },
        Trade {
            price: number("-1"),
            ..good.clone()
        },
        Trade {
            fee: number("-1e-64"),
            ..good.clone()
        },
        Trade {
            quote_amount: Some(number("-1")),
            ..good
        },
    ] {
        assert_eq!(settle(bad), Err(Rejection::InvalidAmount));
    }
}

#[test]
fn what_moves_has_at_most_twelve_places_and_a_price_may_have_more() {
    let good = trade(Side::Sell, "1", "1", "0");
    for bad in [
        Trade {
            volume: number("1.0000000000001"),
            ..good.clone()
        },
        Trade {
            fee: number("0.0000000000001"),
            ..good.clone()
        },
        Trade {
            quote_amount: Some(number("0.0000000000001")),
            ..good
        },
    ] {
        assert_eq!(settle(bad), Err(Rejection::TooManyDecimals));
    }
    let effect = settle(trade(Side::Buy, "1", "0.30000000000000004", "0")).expect("applied");
    assert_eq!(told(&effect)[1], "debit 2 0.3 long = 999.7 #1");
    assert_eq!(effect.postings[1].price, Some(money("0.3")));
}

#[test]
fn figures_beyond_the_books_are_out_of_range_even_when_their_difference_is_not() {
    for refused in [
        trade(Side::Sell, "1", "1e16", "0"),
        trade(Side::Buy, "1e16", "0", "0"),
        Trade {
            quote_amount: Some(number("1")),
            ..trade(Side::Sell, "1", "1e16", "0")
        },
        Trade {
            quote_amount: Some(number("10000000000000005")),
            ..trade(Side::Sell, "1", "1", "1e16")
        },
        Trade {
            quote_amount: Some(number("2e60")),
            ..trade(Side::Sell, "1", "1", "1e60")
        },
        Trade {
            quote_amount: Some(number("1e60")),
            ..trade(Side::Sell, "1", "1", "1e60")
        },
    ] {
        assert_eq!(settle(refused), Err(Rejection::AmountOutOfRange));
    }
}

#[test]
fn the_symbols_must_be_those_of_the_accounts_and_the_accounts_two() {
    let good = trade(Side::Buy, "1", "1", "0");
    let swapped = Trade {
        stock_account: CURRENCY,
        currency_account: STOCK,
        ..good.clone()
    };
    for bad in [
        Trade {
            stock: asset("ETH"),
            ..good.clone()
        },
        Trade {
            currency: asset("USDC"),
            ..good.clone()
        },
        swapped,
    ] {
        assert_eq!(settle(bad), Err(Rejection::SymbolMismatch));
    }
    let same = Trade {
        stock_account: CURRENCY,
        stock: asset("USDT"),
        ..good
    };
    assert_eq!(settle(same), Err(Rejection::SameAccount));
}
