//! Tests of trades with several legs at one moment.

mod shuffled;

use super::*;

/// Adds the legs of an order on the second day to a deposit.
fn of_legs(legs: &[[&str; 2]]) -> History {
    let deposit = History::default().flow(day(1), "USDT", "2000");

    legs.iter().fold(deposit, |history, [symbol, signed]| {
        history.leg(day(2), symbol, signed, "o")
    })
}

/// Returns value, flows and profit.
fn sums(found: &Performance) -> [String; 3] {
    [&found.closing_value, &found.flows, &found.profit].map(text)
}

#[test]
fn the_order_of_several_legs_is_no_profit() {
    let legs = [
        ["HIGH", "1000"],
        ["HIGH", "1"],
        ["USDT", "-1"],
        ["USDT", "-1000"],
    ];
    let orders = (0..256).map(|code| [code / 64, code / 16 % 4, code / 4 % 4, code % 4]);
    let orders = orders.filter(|order| (0..4).all(|leg| order.contains(&leg)));
    let mut count = 0;

    for order in orders {
        let found = of_legs(&order.map(|leg| legs[leg])).measured_in("USDT");

        assert_eq!(sums(&found), ["2000", "2000", "0"], "{order:?}");
        assert_eq!(found.time_weighted_return, Some(0.0), "{order:?}");
        assert_eq!(found.trades.trades, 1, "{order:?}");
        assert_eq!(found.unpriced, [], "{order:?}");
        count += 1;
    }
    assert_eq!(count, 24);
}

#[test]
fn a_partial_refund_is_part_of_the_trade() {
    let found = of_legs(&[["USDT", "-500"], ["BTC", "2"], ["USDT", "100"]]).measured_in("USDT");

    assert_eq!(sums(&found), ["2000", "2000", "0"]);
    assert_eq!(text(&found.trades.turnover), "400");
}

#[test]
fn legs_of_one_direction_are_flows() {
    let paid = of_legs(&[["USDT", "-500"], ["USDT", "-100"]]).measured_in("USDT");
    let received = of_legs(&[["BTC", "5"], ["USDT", "100"]]).measured_in("USDT");
    let refunded = of_legs(&[["USDT", "-500"], ["USDT", "100"]]).measured_in("USDT");

    assert_eq!(sums(&paid), ["1400", "1400", "0"]);
    assert_eq!(sums(&received), ["2100", "2100", "0"]);
    assert_eq!(sums(&refunded), ["1600", "1600", "0"]);
}

#[test]
fn legs_of_three_assets_are_flows() {
    let bought = of_legs(&[["USDT", "-100"], ["BTC", "1"], ["BNB", "0.1"]]);

    let found = bought
        .buy(day(3), "BTC/USDT", "1", "100", FREE)
        .measured_in("USDT");

    assert_eq!(sums(&found), ["2000", "2000", "0"]);
    assert_eq!(found.trades.trades, 1);
    assert_eq!(found.unpriced, [asset("BNB")]);
}

#[test]
fn what_is_left_after_buying_and_selling_is_profit() {
    let found = of_legs(&[
        ["BTC", "1"],
        ["USDT", "-100"],
        ["BTC", "-1"],
        ["USDT", "101"],
    ])
    .measured_in("USDT");

    assert_eq!(sums(&found), ["2001", "2000", "1"]);
}

#[test]
fn legs_that_cancel_out_change_nothing() {
    let undone = of_legs(&[
        ["BTC", "1"],
        ["USDT", "-100"],
        ["USDT", "100"],
        ["BTC", "-1"],
    ]);
    let without = History::default()
        .flow(day(1), "USDT", "2000")
        .movement(day(2), "USDT", "1", "fee")
        .movement(day(2), "USDT", "-1", "fee");

    assert_eq!(undone.measured_in("USDT"), without.measured_in("USDT"));
}

#[test]
fn fills_and_movements_of_one_order_are_one_trade() {
    let history = History::default()
        .flow(day(1), "USDT", "2000")
        .buy(day(2), "BTC/USDT", "1", "100", Fee::Within("1"))
        .of_order("o")
        .leg(day(2), "USDT", "-150", "o")
        .buy(day(2), "BTC/USDT", "2", "101", Fee::Within("2"))
        .of_order("o")
        .leg(day(2), "BTC", "1", "o");

    let found = history.measured_in("USDT");

    // 4 BTC for 100 + 202 + 150, and fees of 3.
    assert_eq!(sums(&found), ["1997", "2000", "-3"]);
    assert_eq!(found.trades.trades, 1);
    assert_eq!(money_of(&found.trades), ["0", "0", "3", "452"]);
}

#[test]
fn an_order_id_in_two_markets_names_two_orders() {
    let history = History::default()
        .flow(day(1), "USDT", "2000")
        .buy(day(2), "BTC/USDT", "1", "100", FREE)
        .of_order("1")
        .with_fee("USDT", "-1", "fee")
        .buy(day(2), "ETH/USDT", "1", "10", FREE)
        .of_order("1")
        .with_fee("USDT", "-2", "fee");

    let found = history.measured_in("USDT");

    assert_eq!(sums(&found), ["1997", "2000", "-3"]);
    assert_eq!(found.trades.trades, 2);
    assert_eq!(money_of(&found.trades), ["0", "0", "3", "110"]);
    assert_eq!(found.unpriced, []);
}

#[test]
fn a_deposit_that_names_an_order_is_a_flow() {
    let mut history = of_legs(&[["BTC", "1"], ["USDT", "-100"]]);
    history.add(day(2), "USDT", "50", "deposit").order = "o".parse().ok();

    let found = history.measured_in("USDT");

    assert_eq!(sums(&found), ["2050", "2050", "0"]);
}

#[test]
fn trades_and_flows_of_one_moment_keep_their_order() {
    let history = History::default()
        .flow(day(1), "USDT", "100")
        .leg(day(2), "USDT", "-100", "o")
        .leg(day(2), "BTC", "1", "o")
        .sell(day(3), "BTC/USDT", "1", "110", FREE)
        .of_order("p")
        .flow(day(3), "USDT", "-110");

    let found = history.measured_in("USDT");

    assert_eq!(sums(&found), ["0", "-10", "10"]);
    assert_near(found.time_weighted_return, 0.1);
}

/// More postings than are grouped by order.
const CROWD: u32 = 50_001;

#[test]
fn a_crowded_moment_has_no_orders_whatever_their_place() {
    let crowd = |history: History| {
        (2..CROWD).fold(history, |history, _| {
            history.movement(day(2), "USDT", "0.01", "gift")
        })
    };
    let opened = History::default().flow(day(1), "USDT", "2000");
    let legs = |history: History| {
        history
            .leg(day(2), "USDT", "-100", "o")
            .leg(day(2), "BTC", "1", "o")
    };

    let first = crowd(legs(opened.clone())).measured_in("USDT");
    let last = legs(crowd(opened)).measured_in("USDT");

    assert_eq!(first, last);
    assert_eq!(first.trades.trades, 0);
    assert_eq!(text(&first.flows), "2399.99");
    assert_eq!(text(&first.profit), "0");
}
