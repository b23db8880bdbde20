//! Tests of gains, losses, fees and turnover.

use super::*;

#[test]
fn gains_are_measured_against_average_cost_with_fees() {
    let history = History::default()
        .flow(day(1), "USDT", "1000")
        .buy(day(1), "BTC/USDT", "2", "100", Fee::Within("2"))
        .buy(day(2), "BTC/USDT", "2", "120", Fee::Within("2"))
        .sell(day(3), "BTC/USDT", "1", "130", Fee::Within("1"))
        .sell(day(4), "BTC/USDT", "3", "100", Fee::Within("3"));

    let found = history.measured_in("USDT");

    // On average 444 / 4 = 111: 129 - 111 = 18, then 297 - 333 = -36.
    let trades = &found.trades;
    assert_eq!(trades.trades, 4);
    assert_eq!(trades.closing_trades, 2);
    assert_eq!(trades.winning_trades, 1);
    assert_eq!(money_of(trades), ["18", "36", "8", "870"]);
    assert_eq!(trades.win_rate(), Some(0.5));
    assert_eq!(trades.profit_factor(), Some(0.5));
    assert_eq!(text(&found.profit), "-18");
}

#[test]
fn a_fee_in_the_traded_asset_reduces_its_amount() {
    let history = History::default()
        .flow(day(1), "USDT", "1000")
        .buy(day(1), "BTC/USDT", "4", "90", Fee::Apart("BTC", "1"))
        .sell(day(2), "BTC/USDT", "1", "200", Fee::Apart("BTC", "1"));

    let trades = &history.measured_in("USDT").trades;

    // Three cost 360; one is sold and one is the fee: 200 - 240.
    assert_eq!(money_of(trades), ["0", "40", "290", "560"]);
}

#[test]
fn a_fee_in_a_third_asset_counts_with_its_value() {
    let history = History::default()
        .flow(day(1), "USDT", "1000")
        .buy(day(1), "BNB/USDT", "10", "10", FREE)
        .buy(day(2), "BTC/USDT", "1", "300", Fee::Apart("BNB", "1"))
        .sell(day(3), "BTC/USDT", "1", "320", Fee::Apart("BNB", "1"));

    let found = history.measured_in("USDT");

    // Bought for 310, sold for 310.
    let trades = &found.trades;
    assert_eq!(trades.closing_trades, 1);
    assert_eq!(trades.winning_trades, 0);
    assert_eq!(money_of(trades)[..3], ["0", "0", "20"]);
    assert_eq!(trades.win_rate(), Some(0.0));
    assert_eq!(trades.profit_factor(), None);
    assert_eq!(text(&found.profit), "0");
}

#[test]
fn figures_in_another_asset_use_the_prices_of_the_time() {
    let history = History::default()
        .flow(day(1), "EUR", "1000")
        .buy(day(1), "BTC/EUR", "2", "100", FREE)
        .buy(day(2), "ETH/BTC", "10", "0.1", Fee::Within("0.01"))
        .buy(day(3), "BTC/EUR", "0.1", "200", FREE)
        .sell(day(4), "ETH/BTC", "5", "0.1", Fee::Within("0.01"));

    let trades = &history.measured_in("EUR").trades;

    // Ten ETH for 1.01 BTC at 100 EUR; five of them for 0.49 BTC at 200 EUR: 98 - 50.5.
    assert_eq!(money_of(trades), ["47.5", "0", "3", "420"]);
}

/// Adds a trade of BTC for BTC, and a fee of it from another account.
fn add_odd_trade(history: &mut History, legs: &[&str], fee: Option<&str>) {
    let log = Uuid::from_u128(history.logs + 1);
    for leg in legs {
        let posting = history.add(day(2), "BTC", leg, "trade");
        posting.quote = Some(asset("BTC"));
        posting.log = log;
    }
    if let Some(fee) = fee {
        let posting = history.add(day(2), "BTC", &format!("-{fee}"), "fee");
        posting.fee = Some(money(fee));
        posting.log = log;
    }
}

#[test]
fn a_trade_of_an_asset_for_itself_keeps_all_legs() {
    let mut history = History::default().flow(day(1), "BTC", "30");
    add_odd_trade(&mut history, &["-1"], Some("2"));
    add_odd_trade(&mut history, &["4", "-3"], None);
    add_odd_trade(&mut history, &["4", "-3"], Some("5"));

    let found = history.measured_in("BTC");

    assert_eq!(text(&found.closing_value), "24");
    assert_eq!(text(&found.flows), "30");
    assert_eq!(text(&found.profit), "-6");
}
