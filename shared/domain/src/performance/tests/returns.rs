//! Tests of returns, flows, daily figures and drawdowns.

use super::*;

/// Deposits 100 and 99, buys at 50 with a fee of 1 and at 60 without, and sells at 30 with a fee of 2.
fn five_days() -> History {
    History::default()
        .flow(day(1), "USDT", "100")
        .buy(day(2), "BTC/USDT", "1", "50", Fee::Within("1"))
        .flow(day(3), "USDT", "99")
        .buy(day(4), "BTC/USDT", "1", "60", FREE)
        .sell(day(5), "BTC/USDT", "1", "30", Fee::Within("2"))
}

/// Values: 100, then 49 + 50 = 99, then 198 with the deposit, then 88 + 2 x 60 = 208, then 116 + 30 = 146.
/// Unit: 1, 0.99, 0.99, 0.99 x 208 / 198 = 1.04, 1.04 x 146 / 208 = 0.73.
#[test]
fn the_return_is_independent_of_flows() {
    let found = five_days().measured_in("USDT");

    assert_eq!(found.start, Some(day(1)));
    assert_eq!(found.end, Some(day(5)));
    assert_eq!(text(&found.opening_value), "0");
    assert_eq!(text(&found.closing_value), "146");
    assert_eq!(text(&found.flows), "199");
    assert_eq!(text(&found.profit), "-53");
    assert_eq!(found.time_weighted_return, Some(-0.27));
    assert_eq!(found.cagr, None, "four days are too short");
}

#[test]
fn the_drawdown_is_that_of_one_unit() {
    let found = five_days().measured_in("USDT");

    let fall = found.max_drawdown.expect("a drawdown");
    assert_near(Some(fall.depth()), 0.31 / 1.04);
    assert_eq!(fall.peak, day(4));
    assert_eq!(fall.trough, day(5));
    assert_eq!(fall.recovery, None);
}

#[test]
fn annual_figures_follow_from_daily_returns() {
    let returns = [0.0_f64, -0.01, 0.0, 1.04 / 0.99 - 1.0, 0.73 / 1.04 - 1.0];
    let mean = returns.iter().sum::<f64>() / 5.0;
    let deviation = (returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / 4.0).sqrt();
    let downside = (returns.iter().map(|r| r.min(0.0).powi(2)).sum::<f64>() / 5.0).sqrt();
    let year = 365.0_f64.sqrt();

    let found = five_days().measured_in("USDT");

    // The logarithm in the comparison needs positive figures.
    let lost = |ratio: Option<f64>| ratio.map(|ratio| -ratio);
    assert_near(found.volatility, deviation * year);
    assert_near(lost(found.sharpe), -mean / deviation * year);
    assert_near(lost(found.sortino), -mean / downside * year);
}

/// Returns a history whose value doubles in two years.
fn doubled() -> History {
    let two_years = day(1) + TimeDelta::hours(2 * 8_766);
    History::default()
        .flow(day(1), "BTC", "100")
        .buy(day(1), "ETH/BTC", "100", "1", FREE)
        .sell(two_years, "ETH/BTC", "100", "2", FREE)
}

#[test]
fn doubling_in_two_years_has_an_annual_factor_of_root_two() {
    let found = doubled().measured_in("BTC");

    assert_eq!(found.time_weighted_return, Some(1.0));
    assert_near(found.cagr, 2.0_f64.sqrt() - 1.0);
    assert_eq!(found.max_drawdown, None);
    assert_eq!(found.sortino, None, "no day lost");
}

#[test]
fn years_without_a_change_have_no_sharpe_ratio() {
    let mut idle = doubled();
    idle.postings.truncate(3);
    let period = Period {
        from: None,
        to: Some(day(1) + TimeDelta::hours(4 * 8_766)),
    };

    let found = idle.in_period("BTC", period);

    assert_eq!(found.cagr, Some(0.0));
    assert_eq!(found.volatility, Some(0.0));
    assert_eq!(found.sharpe, None);
}

#[test]
fn earlier_postings_give_the_opening_state() {
    let period = Period {
        from: Some(day(4) - TimeDelta::hours(1)),
        to: None,
    };

    let found = five_days().in_period("USDT", period);

    assert_eq!(found.start, period.from);
    assert_eq!(text(&found.opening_value), "198");
    assert_eq!(text(&found.flows), "0");
    let lost = found.time_weighted_return.map(|lost| -lost);
    assert_near(lost, 1.0 - 146.0 / 198.0);
    // The average cost includes the purchase before the period: (51 + 60) / 2.
    assert_eq!(found.trades.trades, 2);
    assert_eq!(found.trades.closing_trades, 1);
    assert_eq!(text(&found.trades.losses), "27.5");
}

#[test]
fn a_period_without_postings_has_a_return_of_zero() {
    let period = Period {
        from: Some(day(9)),
        to: Some(day(11)),
    };

    let found = five_days().in_period("USDT", period);

    assert_eq!(text(&found.opening_value), "146");
    assert_eq!(text(&found.closing_value), "146");
    assert_eq!(found.time_weighted_return, Some(0.0));
    assert_eq!(found.start, period.from);
    assert_eq!(found.end, period.to);
}

/// Returns a history of 100 USDT, with a BTC bought for 50 that falls to 40 on the third day.
fn fallen() -> History {
    History::default()
        .flow(day(1), "USDT", "100")
        .buy(day(2), "BTC/USDT", "1", "50", FREE)
        .buy(day(3), "BTC/USDT", "0.000001", "40", FREE)
}

fn max_drawdown(history: &History) -> Drawdown {
    history
        .measured_in("USDT")
        .max_drawdown
        .expect("a drawdown")
}

#[test]
fn a_drawdown_lasts_from_its_peak() {
    let fall = max_drawdown(&fallen());

    assert_eq!(fall.peak, day(1));
    assert_eq!(fall.trough, day(3));
    assert_eq!(fall.recovery, None);
}

#[test]
fn a_drawdown_ends_when_its_peak_is_reached_again() {
    let recovered = fallen()
        .buy(day(4), "BTC/USDT", "0.000001", "60", FREE)
        .buy(day(5), "BTC/USDT", "0.000001", "59", FREE);

    let fall = max_drawdown(&recovered);

    // The later, smaller drawdown is ignored.
    assert_eq!(fall.trough, day(3));
    assert_eq!(fall.recovery, Some(day(4)));
}

#[test]
fn withdrawing_everything_is_not_a_loss() {
    let history = History::default()
        .flow(day(1), "BTC", "1")
        .buy(day(2), "ETH/BTC", "10", "0.1", FREE)
        .flow(day(3), "ETH", "-10")
        .flow(day(4), "BTC", "5");

    let found = history.measured_in("BTC");

    assert_eq!(found.time_weighted_return, Some(0.0));
}

#[test]
fn no_return_follows_a_total_loss() {
    let mut lost = History::default().flow(day(1), "BTC", "1");
    lost.add(day(2), "BTC", "-1", "fee");

    let found = lost.flow(day(10), "BTC", "7").measured_in("BTC");

    assert_eq!(found.time_weighted_return, Some(-1.0));
    assert_eq!(found.cagr, Some(-1.0));
    let fall = found.max_drawdown.expect("a drawdown");
    assert_eq!(fall.depth().to_bits(), 1.0_f64.to_bits());
}

#[test]
fn an_empty_history_has_no_figures() {
    let found = History::default().measured_in("BTC");

    let ratios = [
        found.time_weighted_return,
        found.cagr,
        found.volatility,
        found.sharpe,
        found.sortino,
        found.trades.win_rate(),
        found.trades.profit_factor(),
    ];
    assert_eq!(ratios, [None; 7]);
    assert_eq!(found.start, None);
    assert_eq!(found.end, None);
}

#[test]
fn assets_without_a_price_give_no_figures() {
    let history = History::default().flow(day(1), "ETH", "5");

    let found = history.measured_in("BTC");

    assert_eq!(found.start, None);
    assert_eq!(found.unpriced, [asset("ETH")]);
}

/// Returns a history that spends BTC a day before its deposit.
fn overdrawn() -> History {
    History::default()
        .buy(day(1), "ETH/BTC", "1", "0.1", FREE)
        .flow(day(2), "BTC", "1")
}

#[test]
fn an_overdrawn_asset_leaves_no_return() {
    let found = overdrawn().measured_in("BTC");

    assert_eq!(found.overdrawn, [asset("BTC")]);
    assert_eq!(found.time_weighted_return, None);
    assert_eq!(found.sharpe, None);
}

#[test]
fn the_balance_before_the_history_can_be_spent() {
    let mut fold = Fold::new(asset("BTC"), Period::default(), None);
    fold.hold(&asset("BTC"), money("1"));
    overdrawn().push_to(&mut fold).expect("no curve");

    let (found, _) = fold.finish().expect("no curve");

    assert_eq!(found.overdrawn, []);
    assert_eq!(text(&found.opening_value), "1");
    assert_eq!(found.time_weighted_return, Some(0.0));
}

#[test]
fn the_curve_has_a_point_for_every_day_with_a_posting() {
    let points = five_days().curve("USDT", Interval::Day).expect("room");

    let shown: Vec<String> = points
        .iter()
        .map(|p| format!("{} {} {} {}", p.time.format("%d"), p.value, p.flows, p.unit))
        .collect();
    let expected = [
        "01 100 100 1",
        "02 99 0 0.99",
        "03 198 99 0.99",
        "04 208 0 1.04",
        "05 146 0 0.73",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn rejects_a_curve_of_too_many_points() {
    let mut many = History::default();
    for hour in 0..=i64::try_from(POINTS_MAX).expect("few") {
        many = many.flow(day(1) + TimeDelta::hours(hour), "USDT", "1");
    }

    assert_eq!(many.curve("USDT", Interval::Hour), Err(TooManyPoints));
    assert!(many.curve("USDT", Interval::Day).is_ok());
}

#[test]
fn the_unit_value_has_a_bounded_number_of_digits() {
    let dust = "0.000000000001";
    let mut history = History::default()
        .flow(day(1), "USDT", "1")
        .flow(day(1), "BTC", "1");
    for hour in 1..200 {
        let time = day(1) + TimeDelta::hours(hour);
        history = history
            .sell(time, "BTC/USDT", dust, "999999999.123456789", FREE)
            .flow(time, "USDT", &format!("-{dust}"));
    }

    let points = history.curve("USDT", Interval::Hour).expect("few");

    let longest = points.iter().map(|point| text(&point.unit).len()).max();
    assert!(longest.is_some_and(|longest| longest < 200), "{longest:?}");
}

#[test]
fn a_period_after_all_postings_has_the_closing_state() {
    let period = Period {
        from: Some(day(9)),
        to: None,
    };
    let mut fold = Fold::new(asset("USDT"), period, Some(Interval::Day));
    let history = History::default().flow(day(1), "USDT", "7");
    history.push_to(&mut fold).expect("room");

    let (found, points) = fold.finish().expect("room");

    assert_eq!(found.start, Some(day(9)));
    assert_eq!(found.end, Some(day(9)));
    let values: Vec<String> = points.iter().map(|point| text(&point.value)).collect();
    assert_eq!(values, ["7"]);
}
