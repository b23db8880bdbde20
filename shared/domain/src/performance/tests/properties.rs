//! Properties of any history.

#![expect(clippy::float_arithmetic, reason = "figures to compare with")]

use super::*;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Action {
    Deposit,
    Withdraw,
    Buy,
    Sell,
}

/// A step of a history.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// The time since the last step.
    hours: i64,
    action: Action,
    /// The part of the holding, in hundredths.
    part: i128,
    /// The price in hundredths.
    price: i128,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let actions = [Action::Deposit, Action::Withdraw, Action::Buy, Action::Sell];
    let action = prop::sample::select(actions.to_vec());
    let step = (0..40i64, action, 1..100i128, 1..5_000i128);
    let step = step.prop_map(|(hours, action, part, price)| Step {
        hours,
        action,
        part,
        price,
    });
    prop::collection::vec(step, 1..40)
}

fn hundredths(count: i128) -> String {
    let money = Money::from_units(count * (Money::ONE.units() / 100));
    money.expect("small").to_string()
}

/// The holdings after a step, in hundredths.
struct Holdings {
    cash: i128,
    stock: i128,
}

/// Builds a history that never overdraws, with all amounts multiplied by `scale`.
fn history(steps: &[Step], scale: i128) -> History {
    let mut time = day(1);
    let mut holdings = Holdings {
        cash: 100_000,
        stock: 0,
    };
    let mut history = History::default().flow(time, "USDT", &hundredths(holdings.cash * scale));
    for step in steps {
        time += TimeDelta::hours(step.hours);
        history = history.step(time, &mut holdings, step, scale);
    }
    history
}

impl History {
    /// Adds a step, if the holdings suffice.
    fn step(self, time: DateTime<Utc>, holdings: &mut Holdings, step: &Step, scale: i128) -> Self {
        let Step { part, price, .. } = *step;
        let amount = |count: i128| hundredths(count * scale);
        let out = holdings.cash * part / 100;

        match step.action {
            Action::Deposit => {
                holdings.cash += part;
                self.flow(time, "USDT", &amount(part))
            }
            Action::Withdraw if out > 0 => {
                holdings.cash -= out;
                self.flow(time, "USDT", &format!("-{}", amount(out)))
            }
            Action::Buy if out / price > 0 => {
                let lots = out / price;
                holdings.cash -= lots * price;
                holdings.stock += lots * 100;
                self.buy(
                    time,
                    "BTC/USDT",
                    &amount(lots * 100),
                    &hundredths(price),
                    FREE,
                )
            }
            Action::Sell if holdings.stock * part / 10_000 > 0 => {
                let lots = holdings.stock * part / 10_000;
                holdings.stock -= lots * 100;
                holdings.cash += lots * price;
                self.sell(
                    time,
                    "BTC/USDT",
                    &amount(lots * 100),
                    &hundredths(price),
                    FREE,
                )
            }
            Action::Withdraw | Action::Buy | Action::Sell => self,
        }
    }
}

fn ratios(found: &Performance) -> Vec<Option<String>> {
    let fall = found.max_drawdown.as_ref().map(|fall| fall.depth());
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
    fn figures_are_finite_and_the_money_adds_up(steps in steps()) {
        let found = history(&steps, 1).measured_in("USDT");

        let ratios = [
            found.time_weighted_return,
            found.cagr,
            found.volatility,
            found.sharpe,
            found.sortino,
        ];
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

        let before = ratios(&before.measured_in("USDT"));
        prop_assert_eq!(before, ratios(&after.measured_in("USDT")));
    }

    #[test]
    fn doubled_amounts_give_the_same_ratios(steps in steps()) {
        let once = history(&steps, 1).measured_in("USDT");
        let twice = history(&steps, 2).measured_in("USDT");

        prop_assert_eq!(ratios(&once), ratios(&twice));
        prop_assert_eq!(once.closing_value.plus(&once.closing_value), twice.closing_value);
        prop_assert_eq!(once.trades.turnover.plus(&once.trades.turnover), twice.trades.turnover);
    }

    #[test]
    fn the_returns_of_two_periods_chain(steps in steps(), hours in 1..800u16) {
        let history = history(&steps, 1);
        let cut = day(1) + TimeDelta::hours(i64::from(hours));
        let mut until = history.clone();
        until.postings.retain(|posting| posting.time < cut);

        let whole = history.measured_in("USDT");
        let first = until.in_period("USDT", Period { from: None, to: Some(cut) });
        let second = history.in_period("USDT", Period { from: Some(cut), to: None });

        let grown = |found: &Performance| 1.0 + found.time_weighted_return.unwrap_or_default();
        let difference = grown(&first) * grown(&second) - grown(&whole);
        prop_assert!(difference.abs() < 1e-9, "{first:?} {second:?} {whole:?}");
        prop_assert_eq!(first.flows.plus(&second.flows), whole.flows);
    }
}
