//! Tests of first prices, inverse prices and prices through a third asset.

use super::*;

#[test]
fn the_first_price_of_a_held_asset_is_not_a_gain() {
    let history = History::default()
        .flow(day(1), "ETH", "10")
        .flow(day(1), "BTC", "1")
        .buy(day(2), "ETH/BTC", "2", "0.1", FREE)
        .sell(day(3), "ETH/BTC", "1", "0.2", FREE);

    let found = history.measured_in("BTC");

    // 1 BTC, then 10 ETH x 0.1 as a flow, then 0.8 + 12 x 0.1 = 2, then 1 + 11 x 0.2 = 3.2.
    assert_eq!(text(&found.flows), "2");
    assert_eq!(text(&found.closing_value), "3.2");
    assert_near(found.time_weighted_return, 0.6);
    // Twelve cost 1.2; one is sold for 0.2.
    assert_eq!(text(&found.trades.gains), "0.1");
    assert_eq!(found.unpriced, []);
}

#[test]
fn a_price_applies_in_both_directions() {
    let history = History::default()
        .flow(day(1), "BTC", "1")
        .buy(day(2), "ETH/BTC", "4", "0.25", FREE)
        .flow(day(3), "BTC", "1");

    let found = history.measured_in("ETH");

    assert_eq!(text(&found.closing_value), "8");
    assert_eq!(text(&found.flows), "8");
    assert_eq!(found.time_weighted_return, Some(0.0));
}

/// Returns the closing value of a history.
fn worth(history: &History, measure: &str) -> String {
    text(&history.measured_in(measure).closing_value)
}

#[test]
fn a_third_asset_links_two_prices() {
    let history = History::default()
        .flow(day(1), "USDT", "1000")
        .buy(day(1), "BTC/USDT", "1", "500", FREE)
        .buy(day(2), "ETH/BTC", "10", "0.1", FREE);
    assert_eq!(worth(&history, "USDT"), "1000", "10 x 0.1 x 500 + 500");

    let dearer = history.buy(day(3), "BTC/USDT", "0.1", "600", FREE);
    assert_eq!(
        worth(&dearer, "USDT"),
        "1100",
        "10 x 0.1 x 600 + 0.1 x 600 + 440"
    );
}

#[test]
fn the_latest_of_several_links_gives_the_price() {
    let history = History::default()
        .flow(day(1), "USDT", "1000")
        .buy(day(1), "BTC/USDT", "1", "500", FREE)
        .buy(day(2), "ETH/BTC", "10", "0.1", FREE)
        .buy(day(3), "BTC/USDT", "0.1", "600", FREE);

    let by_euro = history
        .flow(day(4), "EUR", "100")
        .buy(day(4), "EUR/USDT", "100", "2", FREE)
        .sell(day(5), "ETH/EUR", "1", "50", FREE);
    // 9 ETH x 50 x 2, 250 EUR x 2, 0.1 BTC x 600, 240 USDT.
    assert_eq!(worth(&by_euro, "USDT"), "1700");

    let direct = by_euro.sell(day(6), "ETH/USDT", "1", "10", FREE);
    assert_eq!(worth(&direct, "USDT"), "890");
}

#[test]
fn more_than_one_link_gives_no_price() {
    let history = History::default()
        .flow(day(1), "USDT", "1000")
        .buy(day(1), "BTC/USDT", "1", "500", FREE)
        .buy(day(2), "ETH/BTC", "10", "0.05", FREE)
        .buy(day(3), "DOGE/ETH", "100", "0.05", FREE);

    let found = history.measured_in("USDT");

    // Half of the ETH, worth 125, was traded for an asset without a value.
    assert_eq!(text(&found.closing_value), "875");
    assert_eq!(text(&found.flows), "875");
    assert_eq!(found.unpriced, [asset("DOGE")]);
    assert_eq!(found.time_weighted_return, Some(0.0));
    assert_eq!(found.trades.trades, 3);
}

/// Returns a purchase of ETH in two movements.
fn bought_in_legs(of_stock: DateTime<Utc>, order_of_stock: &str) -> History {
    History::default()
        .flow(day(1), "BTC", "1")
        .leg(day(2), "BTC", "-0.4", "o1")
        .leg(of_stock, "ETH", "4", order_of_stock)
}

#[test]
fn movements_of_one_order_and_time_are_a_trade() {
    let history = bought_in_legs(day(2), "o1")
        .leg(day(3), "BTC", "0.4", "o2")
        .leg(day(3), "ETH", "-2", "o2");

    let found = history.measured_in("BTC");

    // 4 ETH at 0.1, then two of them are sold at 0.2: 1 + 2 x 0.2.
    assert_eq!(text(&found.closing_value), "1.4");
    assert_eq!(text(&found.flows), "1");
    assert_eq!(found.trades.trades, 2);
    assert_eq!(text(&found.trades.gains), "0.2");
    assert_near(found.time_weighted_return, 0.4);
}

#[test]
fn movements_of_another_order_or_time_are_flows() {
    for (moment, order) in [(day(3), "o1"), (day(2), "o2")] {
        let found = bought_in_legs(moment, order).measured_in("BTC");

        assert_eq!(found.time_weighted_return, Some(0.0), "{moment} {order}");
        assert_eq!(text(&found.flows), "0.6", "{moment} {order}");
        assert_eq!(found.unpriced, [asset("ETH")], "{moment} {order}");
    }
}
