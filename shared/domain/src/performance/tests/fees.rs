//! Tests of fees, rebates and funding.

use super::*;

/// Returns value, flows, profit and fees.
fn sums(found: &Performance) -> [String; 4] {
    [
        &found.closing_value,
        &found.flows,
        &found.profit,
        &found.trades.fees,
    ]
    .map(text)
}

#[test]
fn fee_words_are_fees_in_any_case() {
    for word in [
        "commission",
        "fee",
        "fees",
        "funding",
        "rebate",
        "Commission",
        "FUNDING",
    ] {
        let found = History::default()
            .flow(day(1), "USDT", "100")
            .movement(day(2), "USDT", "-3", word)
            .movement(day(3), "USDT", "1", word)
            .measured_in("USDT");

        assert_eq!(sums(&found), ["98", "100", "-2", "2"], "{word}");
        let lost = found.time_weighted_return.map(|lost| -lost);
        assert_near(lost, 0.02);
    }
}

#[test]
fn other_reasons_are_flows() {
    for reason in ["gift", "feed", "adjustment", "refund of a fee"] {
        let found = History::default()
            .flow(day(1), "USDT", "100")
            .movement(day(2), "USDT", "-3", reason)
            .measured_in("USDT");

        assert_eq!(sums(&found), ["97", "97", "0", "0"], "{reason}");
    }
}

#[test]
fn a_rebate_on_a_sale_is_profit() {
    let history = History::default()
        .flow(day(1), "BTC", "1")
        .flow(day(1), "USDT", "100")
        .buy(day(1), "BTC/USDT", "0.001", "10000", FREE)
        .sell(day(2), "BTC/USDT", "0.501", "10000", FREE)
        .with_fee("USDT", "2.5", "rebate");

    let found = history.measured_in("USDT");

    assert_eq!(sums(&found), ["10102.5", "10100", "2.5", "-2.5"]);
    assert_eq!(money_of(&found.trades)[0], "2.5", "the gain of the sale");
}

#[test]
fn a_rebate_lowers_the_cost_of_a_purchase() {
    let cheaper = |symbol: &str, rebate: &str| {
        let history = History::default()
            .flow(day(1), "USDT", "1000")
            .buy(day(1), "BNB/USDT", "10", "10", FREE)
            .buy(day(2), "BTC/USDT", "1", "100", FREE)
            .with_fee(symbol, rebate, "rebate")
            .sell(day(3), "BTC/USDT", "1", "100", FREE);
        history.measured_in("USDT")
    };

    let in_currency = cheaper("USDT", "5");
    let in_third_asset = cheaper("BNB", "0.5");
    let in_stock = cheaper("BTC", "0.05");

    assert_eq!(sums(&in_currency), ["1005", "1000", "5", "-5"]);
    assert_eq!(sums(&in_third_asset), ["1005", "1000", "5", "-5"]);
    assert_eq!(sums(&in_stock), ["1005", "1000", "5", "-5"]);
    assert_eq!(money_of(&in_currency.trades)[0], "5");
    assert_eq!(money_of(&in_third_asset.trades)[0], "5");
    // One of 1.05 that cost 100 is sold for 100, at 95.238095...
    let gain = in_stock.trades.gains.nearest();
    assert_near(Some(gain), 100.0 / 21.0);
}

#[test]
fn a_trade_has_fees_in_several_assets() {
    let history = History::default()
        .flow(day(1), "USDT", "1000")
        .buy(day(1), "BNB/USDT", "10", "10", FREE)
        .buy(day(2), "BTC/USDT", "4", "90", Fee::Within("3"))
        .with_fee("BNB", "-1", "fee")
        .with_fee("BTC", "-0.1", "fee")
        .with_fee("USDT", "2", "rebate")
        .sell(day(3), "BTC/USDT", "3.9", "90", FREE);

    let found = history.measured_in("USDT");

    // Fees of 3, 10 and 9, less a rebate of 2; the cost of 3.9 is 363 + 10 - 2.
    assert_eq!(sums(&found), ["980", "1000", "-20", "20"]);
    assert_eq!(money_of(&found.trades)[1], "20", "the loss of the sale");
}

#[test]
fn a_fee_movement_of_an_order_is_part_of_its_trade() {
    let history = History::default()
        .flow(day(1), "USDT", "1000")
        .leg(day(2), "BTC", "1", "o")
        .movement(day(2), "USDT", "-2", "commission")
        .of_order("o")
        .leg(day(2), "USDT", "-100", "o")
        .sell(day(3), "BTC/USDT", "1", "100", FREE);

    let found = history.measured_in("USDT");

    assert_eq!(sums(&found), ["998", "1000", "-2", "2"]);
    assert_eq!(found.trades.trades, 2);
    assert_eq!(money_of(&found.trades)[1], "2", "the loss of the sale");
}

#[test]
fn a_rebate_without_a_price_enters_as_a_flow_with_the_holding() {
    let history = History::default()
        .flow(day(1), "USDT", "1000")
        .buy(day(2), "BTC/USDT", "1", "100", FREE)
        .with_fee("BNB", "2", "rebate")
        .buy(day(3), "BNB/USDT", "1", "10", FREE)
        .sell(day(4), "BNB/USDT", "3", "10", FREE);

    let found = history.measured_in("USDT");

    assert_eq!(sums(&found), ["1020", "1020", "0", "0"]);
    assert_eq!(money_of(&found.trades)[..2], ["0", "0"]);
}
