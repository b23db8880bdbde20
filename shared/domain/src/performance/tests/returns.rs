//! Returns, flows, days and falls.

use super::*;

/// Deposits 100 and 99, buys at 50 with a fee of 1 and at 60 without, sells at 30 with a fee of 2.
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
fn the_return_is_that_of_one_unit_whatever_flows() {
    let found = five_days().measured_in("USDT");
    assert_eq!((found.start, found.end), (Some(day(1)), Some(day(5))));
    let money = [
        &found.opening_value,
        &found.closing_value,
        &found.flows,
        &found.profit,
    ]
    .map(text);
    assert_eq!(money, ["0", "146", "199", "-53"]);
    assert_eq!(found.time_weighted_return, Some(-0.27));
    let fall = found.max_drawdown.expect("a fall");
    assert!(is_near(Some(fall.depth), 0.31 / 1.04));
    assert_eq!(
        (fall.peak, fall.trough, fall.recovery),
        (day(4), day(5), None)
    );
    assert_eq!(found.cagr, None, "four days say nothing about a year");
}

#[test]
fn a_year_is_made_of_the_days_there_were() {
    let returns = [0.0_f64, -0.01, 0.0, 1.04 / 0.99 - 1.0, 0.73 / 1.04 - 1.0];
    let mean = returns.iter().sum::<f64>() / 5.0;
    let deviation = (returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / 4.0).sqrt();
    let downside = (returns.iter().map(|r| r.min(0.0).powi(2)).sum::<f64>() / 5.0).sqrt();
    let found = five_days().measured_in("USDT");
    assert!(
        is_near(found.volatility, deviation * 365.0_f64.sqrt()),
        "{found:?}"
    );
    assert!(
        is_near(
            found.sharpe.map(|sharpe| -sharpe),
            -mean / deviation * 365.0_f64.sqrt()
        ),
        "{found:?}"
    );
    assert!(
        is_near(
            found.sortino.map(|sortino| -sortino),
            -mean / downside * 365.0_f64.sqrt()
        ),
        "{found:?}"
    );
}

#[test]
fn twice_as_much_after_two_years_is_the_root_of_two_a_year() {
    let two_years = day(1) + TimeDelta::hours(2 * 8_766);
    let doubled = History::default()
        .flow(day(1), "BTC", "100")
        .buy(day(1), "ETH/BTC", "100", "1", FREE)
        .sell(two_years, "ETH/BTC", "100", "2", FREE);
    let found = doubled.measured_in("BTC");
    assert_eq!(found.time_weighted_return, Some(1.0));
    assert!(is_near(found.cagr, 2.0_f64.sqrt() - 1.0), "{found:?}");
    assert_eq!(found.max_drawdown, None);
    assert_eq!(found.sortino, None, "no day lost");
    let period = Period {
        from: None,
        to: Some(day(1) + TimeDelta::hours(4 * 8_766)),
    };
    let idle = History {
        postings: doubled.postings[..3].to_vec(),
        ..doubled.clone()
    };
    let still = idle.in_period("BTC", period);
    assert_eq!(
        (still.cagr, still.volatility, still.sharpe),
        (Some(0.0), Some(0.0), None),
        "{still:?}"
    );
}

#[test]
fn what_was_before_the_period_is_the_state_it_begins_with() {
    let period = Period {
        from: Some(day(4) - TimeDelta::hours(1)),
        to: None,
    };
    let found = five_days().in_period("USDT", period);
    assert_eq!(
        (found.start, text(&found.opening_value), text(&found.flows)),
        (period.from, "198".into(), "0".into())
    );
    assert!(
        is_near(
            found.time_weighted_return.map(|lost| -lost),
            1.0 - 146.0 / 198.0
        ),
        "{found:?}"
    );
    // The cost is that of both purchases: (51 + 60) / 2; the first trade was before.
    let trades = &found.trades;
    assert_eq!(
        (trades.trades, trades.closing_trades, text(&trades.losses)),
        (2, 1, "27.5".into())
    );
    let later = Period {
        from: Some(day(9)),
        to: Some(day(11)),
    };
    let still = five_days().in_period("USDT", later);
    assert_eq!(
        (text(&still.opening_value), text(&still.closing_value)),
        ("146".into(), "146".into())
    );
    assert_eq!(
        (still.time_weighted_return, still.start, still.end),
        (Some(0.0), later.from, later.to)
    );
}

#[test]
fn a_fall_ends_when_its_peak_is_reached_again() {
    let held =
        History::default()
            .flow(day(1), "USDT", "100")
            .buy(day(2), "BTC/USDT", "1", "50", FREE);
    let fell = held.buy(day(3), "BTC/USDT", "0.000001", "40", FREE);
    let rose = fell.clone().buy(day(4), "BTC/USDT", "0.000001", "60", FREE);
    let fall = |history: &History| history.measured_in("USDT").max_drawdown.expect("a fall");
    assert_eq!(
        (fall(&fell).peak, fall(&fell).trough, fall(&fell).recovery),
        (day(1), day(3), None)
    );
    let recovered = fall(&rose.clone().buy(day(5), "BTC/USDT", "0.000001", "59", FREE));
    assert_eq!(
        (recovered.trough, recovered.recovery),
        (day(3), Some(day(4))),
        "a smaller fall later does not count"
    );
}

#[test]
fn a_total_loss_is_one_and_nothing_comes_after_it() {
    let lost =
        History::default()
            .flow(day(1), "BTC", "1")
            .buy(day(2), "ETH/BTC", "10", "0.1", FREE);
    let lost = lost.flow(day(3), "ETH", "-10").flow(day(4), "BTC", "5");
    assert_eq!(
        lost.measured_in("BTC").time_weighted_return,
        Some(0.0),
        "taking all out is no loss"
    );
    let mut fee = lost.clone();
    fee.postings.truncate(1);
    fee.add(day(2), "BTC", "-1", "fee");
    let found = fee.flow(day(10), "BTC", "7").measured_in("BTC");
    assert_eq!(
        (found.time_weighted_return, found.cagr),
        (Some(-1.0), Some(-1.0))
    );
    assert_eq!(
        found.max_drawdown.expect("a fall").depth.to_bits(),
        1.0_f64.to_bits()
    );
}

#[test]
fn nothing_makes_no_figures() {
    let found = History::default().measured_in("BTC");
    let ratios = [
        found.time_weighted_return,
        found.cagr,
        found.volatility,
        found.sharpe,
        found.sortino,
    ];
    assert_eq!((ratios, found.start, found.end), ([None; 5], None, None));
    assert_eq!(
        (found.trades.win_rate(), found.trades.profit_factor()),
        (None, None)
    );
    let worthless = History::default()
        .flow(day(1), "ETH", "5")
        .measured_in("BTC");
    assert_eq!(
        (worthless.start, worthless.unpriced),
        (None, vec![asset("ETH")])
    );
}

#[test]
fn what_was_spent_before_it_was_there_leaves_no_return() {
    let late = History::default()
        .buy(day(1), "ETH/BTC", "1", "0.1", FREE)
        .flow(day(2), "BTC", "1");
    let found = late.measured_in("BTC");
    assert_eq!(
        (found.overdrawn, found.time_weighted_return, found.sharpe),
        (vec![asset("BTC")], None, None)
    );
    let mut fold = Fold::new(asset("BTC"), Period::default(), None);
    fold.hold(&asset("BTC"), money("1"));
    for posting in &late.postings {
        fold.push(posting.clone()).expect("no curve");
    }
    let (kept, _) = fold.finish().expect("no curve");
    assert_eq!(
        (
            kept.overdrawn,
            text(&kept.opening_value),
            kept.time_weighted_return
        ),
        (vec![], "1".into(), Some(0.0))
    );
}

#[test]
fn the_curve_has_a_point_for_every_piece_in_which_something_happened() {
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
    let mut many = History::default();
    for hour in 0..=i64::try_from(POINTS_MAX).expect("few") {
        many = many.flow(day(1) + TimeDelta::hours(hour), "USDT", "1");
    }
    assert_eq!(many.curve("USDT", Interval::Hour), Err(TooManyPoints));
    assert!(many.curve("USDT", Interval::Day).is_ok());
}

#[test]
fn what_one_unit_is_worth_keeps_a_bounded_number_of_digits_through_the_wildest_gains() {
    let mut history = History::default()
        .flow(day(1), "USDT", "1")
        .flow(day(1), "BTC", "1");
    for hour in 1..200 {
        let time = day(1) + TimeDelta::hours(hour);
        history = history
            .sell(
                time,
                "BTC/USDT",
                "0.000000000001",
                "999999999.123456789",
                FREE,
            )
            .flow(time, "USDT", "-0.000000000001");
    }
    let points = history.curve("USDT", Interval::Hour).expect("few");
    let longest = points.iter().map(|point| text(&point.unit).len()).max();
    assert!(longest.is_some_and(|longest| longest < 200), "{longest:?}");
}

#[test]
fn a_period_after_all_that_happened_is_empty_and_has_what_was_there() {
    let history = History::default().flow(day(1), "USDT", "7");
    let period = Period {
        from: Some(day(9)),
        to: None,
    };
    let mut fold = Fold::new(asset("USDT"), period, Some(Interval::Day));
    for posting in &history.postings {
        fold.push(posting.clone()).expect("room");
    }
    let (found, points) = fold.finish().expect("room");
    assert_eq!((found.start, found.end), (Some(day(9)), Some(day(9))));
    assert_eq!(
        points
            .iter()
            .map(|point| text(&point.value))
            .collect::<Vec<_>>(),
        ["7"]
    );
}
