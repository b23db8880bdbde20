//! What holds for every history.

#![expect(clippy::float_arithmetic, reason = "figures to compare with")]

use super::*;
use proptest::prelude::*;

/// One step: hours to wait, what to do, how much of what is there in hundredths, and a price in hundredths.
type Step = (u8, u8, u8, u16);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((0..40u8, 0..4u8, 1..100u8, 1..5_000u16), 1..40)
}

/// A history that never spends what is not there, all amounts multiplied by `scale`.
fn history(steps: &[Step], scale: i128) -> History {
    let hundredths = |count: i128| {
        Money::from_units(count * 10_000_000_000 * scale)
            .expect("small")
            .to_string()
    };
    let (mut cash, mut stock, mut time) = (100_000_i128, 0_i128, day(1));
    let mut history = History::default().flow(time, "USDT", &hundredths(cash));
    for (hours, what, part, price) in steps {
        time += TimeDelta::hours(i64::from(*hours));
        let (part, price) = (i128::from(*part), i128::from(*price));
        let price_text = Money::from_units(price * 10_000_000_000)
            .expect("small")
            .to_string();
        match what {
            0 => {
                cash += part;
                history = history.flow(time, "USDT", &hundredths(part));
            }
            1 if cash * part / 100 > 0 => {
                let out = cash * part / 100;
                cash -= out;
                history = history.flow(time, "USDT", &format!("-{}", hundredths(out)));
            }
            2 if cash * part / 100 / price > 0 => {
                let lots = cash * part / 100 / price;
                cash -= lots * price;
                stock += lots * 100;
                history = history.buy(time, "BTC/USDT", &hundredths(lots * 100), &price_text, FREE);
            }
            3 if stock * part / 10_000 > 0 => {
                let lots = stock * part / 10_000;
                stock -= lots * 100;
                cash += lots * price;
                history =
                    history.sell(time, "BTC/USDT", &hundredths(lots * 100), &price_text, FREE);
            }
            _ => {}
        }
    }
    history
}

fn ratios(found: &Performance) -> Vec<Option<String>> {
    let fall = found.max_drawdown.as_ref().map(|fall| fall.depth);
    let all = [
        found.time_weighted_return,
        found.cagr,
        found.volatility,
        found.sharpe,
        found.sortino,
        fall,
    ];
    all.iter()
        .map(|ratio| ratio.map(|ratio| format!("{ratio:.9e}")))
        .collect()
}

proptest! {
    #[test]
    fn no_figure_is_ever_not_a_number_and_the_money_adds_up(steps in steps()) {
        let found = history(&steps, 1).measured_in("USDT");
        let ratios = [found.time_weighted_return, found.cagr, found.volatility, found.sharpe, found.sortino];
        prop_assert!(ratios.into_iter().flatten().all(f64::is_finite), "{found:?}");
        let sum = found.opening_value.plus(&found.flows).plus(&found.profit);
        prop_assert_eq!(sum, found.closing_value);
        prop_assert!(found.overdrawn.is_empty());
    }

    #[test]
    fn a_deposit_changes_no_return(steps in steps(), amount in 1..1_000u16) {
        let before = history(&steps, 1);
        let last = before.postings.last().expect("a deposit at least").time;
        let after = before.clone().flow(last, "USDT", &amount.to_string());
        prop_assert_eq!(ratios(&before.measured_in("USDT")), ratios(&after.measured_in("USDT")));
    }

    #[test]
    fn twice_as_much_of_everything_makes_the_same_ratios_and_twice_the_money(steps in steps()) {
        let (once, twice) = (history(&steps, 1).measured_in("USDT"), history(&steps, 2).measured_in("USDT"));
        prop_assert_eq!(ratios(&once), ratios(&twice));
        prop_assert_eq!(once.closing_value.plus(&once.closing_value), twice.closing_value);
        prop_assert_eq!(once.trades.turnover.plus(&once.trades.turnover), twice.trades.turnover);
    }

    #[test]
    fn a_period_cut_in_two_makes_the_return_of_both(steps in steps(), hours in 1..800u16) {
        let history = history(&steps, 1);
        let cut = day(1) + TimeDelta::hours(i64::from(hours));
        let whole = history.measured_in("USDT");
        let until = History { postings: history.postings.iter().filter(|p| p.time < cut).cloned().collect(), logs: 0 };
        let first = until.in_period("USDT", Period { from: None, to: Some(cut) });
        let second = history.in_period("USDT", Period { from: Some(cut), to: None });
        let grown = |found: &Performance| 1.0 + found.time_weighted_return.unwrap_or_default();
        prop_assert!((grown(&first) * grown(&second) - grown(&whole)).abs() < 1e-9, "{first:?} {second:?} {whole:?}");
        prop_assert_eq!(first.flows.plus(&second.flows), whole.flows);
    }
}
