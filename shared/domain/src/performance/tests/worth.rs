//! Right after a purchase, its value and fees are its cost.

use super::*;
use crate::money::{MONEY_INTEGER_DIGITS, MONEY_PLACES};
use proptest::prelude::*;

/// How the fee is paid, if there is one.
#[derive(Clone, Copy, Debug)]
enum Paid {
    Nothing,
    Included,
    Stock,
    Third,
}

/// A purchase at any price.
#[derive(Clone, Debug)]
struct Purchase {
    volume: Money,
    price: Number,
    paid: Paid,
    /// The fee in hundredths of the cost, volume or holding.
    percent: i128,
}

fn purchases() -> impl Strategy<Value = Purchase> {
    // Volumes up to 10^18, and prices of 10^-18 to 10^12.
    let digits = MONEY_PLACES + MONEY_INTEGER_DIGITS.min(19) - 3;
    let volume = (1..1_000i128, 0..digits);
    let price = (1..1_000_000u32, -18..7i32);
    let paid = vec![Paid::Nothing, Paid::Included, Paid::Stock, Paid::Third];
    let fee = (prop::sample::select(paid), 0..100i128);
    (volume, price, fee).prop_filter_map(
        "the books hold volume and cost",
        |((volume, volume_exponent), (price, price_exponent), (paid, percent))| {
            let purchase = Purchase {
                volume: Money::from_units(volume * 10i128.pow(volume_exponent))?,
                price: number(&format!("{price}e{price_exponent}")),
                paid,
                percent,
            };
            let paid = number(&purchase.cost()?.to_string()).times(&number("3"));
            paid.to_money().map(|_| purchase)
        },
    )
}

impl Purchase {
    fn cost(&self) -> Option<Money> {
        let cost = self.price.times(&self.volume.into());
        cost.rounded().to_money()
    }

    fn part(&self, amount: Money) -> Money {
        let part = amount.units() / 100 * self.percent + amount.units() % 100 * self.percent / 100;
        Money::from_units(part).expect("a part")
    }

    /// Deposits three times the cost of the purchase, and buys.
    fn history(&self, quote: &str) -> History {
        let cost = self.cost().expect("filtered");
        let deposit = number(&cost.to_string()).times(&number("3"));
        let pair = format!("NEW/{quote}");
        let price = self.price.to_string();
        let volume = self.volume.to_string();
        let fee = match self.paid {
            Paid::Nothing => money("0"),
            Paid::Included => self.part(cost),
            Paid::Stock => self.part(self.volume),
            Paid::Third => self.part(money("3")),
        };
        let fee = fee.to_string();
        let fee = match self.paid {
            Paid::Nothing | Paid::Included => Fee::Within(&fee),
            Paid::Stock => Fee::Apart("NEW", &fee),
            Paid::Third => Fee::Apart("BNB", &fee),
        };

        History::default()
            .flow(day(1), quote, &deposit.to_string())
            .flow(day(1), quote, "10")
            .buy(day(1), &format!("BNB/{quote}"), "3", "0.7", FREE)
            .buy(day(2), &pair, &volume, &price, fee)
    }
}

/// Returns a figure as it is reported.
fn reported(exact: &Exact) -> String {
    Number::from(exact).to_string()
}

proptest! {
    #[test]
    fn value_and_fees_are_the_cost(purchase in purchases()) {
        let found = purchase.history("USDT").measured_in("USDT");

        let fees = &found.trades.fees;
        prop_assert_eq!(reported(&found.closing_value.plus(fees)), text(&found.flows));
        prop_assert_eq!(reported(&found.profit), reported(&fees.negated()));
        if matches!(purchase.paid, Paid::Nothing) {
            prop_assert_eq!(&found.closing_value, &found.flows);
            prop_assert_eq!(found.time_weighted_return, Some(0.0));
            prop_assert_eq!(found.max_drawdown, None);
        }
    }

    #[test]
    fn a_price_through_a_third_asset_is_no_profit(purchase in purchases()) {
        let mut history = History::default()
            .flow(day(1), "EUR", "1")
            .buy(day(1), "USDT/EUR", "0.7", "1.1", FREE);
        history.postings.extend(purchase.history("USDT").postings.into_iter().map(|mut posting| {
            posting.log = Uuid::from_u128(posting.log.as_u128() + 1_000);
            posting
        }));

        let found = history.measured_in("EUR");

        let is_priced = purchase.cost().is_some_and(Money::is_positive);
        prop_assert_eq!(found.unpriced.is_empty(), is_priced);
        prop_assert_eq!(reported(&found.profit.plus(&found.trades.fees)), "0");
        if matches!(purchase.paid, Paid::Nothing) {
            prop_assert_eq!(reported(&found.profit), "0");
            prop_assert_eq!(found.time_weighted_return, Some(0.0));
            prop_assert_eq!(found.max_drawdown, None);
        }
    }
}

#[test]
fn a_tiny_price_is_no_profit() {
    for (volume, price) in [
        ("1000000000000", "0.0000000001236"),
        ("2000000000000000", "0.0000000000004"),
    ] {
        let found = History::default()
            .flow(day(1), "USDT", "1000")
            .buy(day(2), "NEW/USDT", volume, price, FREE)
            .measured_in("USDT");

        assert_eq!(text(&found.closing_value), "1000", "{price}");
        assert_eq!(text(&found.profit), "0", "{price}");
        assert_eq!(found.unpriced, [], "{price}");
    }
}

/// Adds a fill with only one leg.
fn one_leg(history: History, symbol: &str, signed: &str) -> History {
    let mut history = history.movement(day(3), symbol, signed, "trade");
    history.postings.last_mut().expect("just added").quote = Some(asset("USDT"));
    history
}

#[test]
fn a_fill_with_one_leg_is_a_cost_or_a_gift_of_the_exchange() {
    let history =
        History::default()
            .flow(day(1), "USDT", "1000")
            .buy(day(2), "BTC/USDT", "1", "100", FREE);

    let sums = |symbol: &str, signed: &str| {
        let found = one_leg(history.clone(), symbol, signed).measured_in("USDT");
        [found.closing_value, found.flows, found.trades.fees].map(|sum| text(&sum))
    };

    assert_eq!(sums("BTC", "0.01"), ["1001", "1000", "-1"]);
    assert_eq!(sums("BTC", "-0.01"), ["999", "1000", "1"]);
    assert_eq!(sums("USDT", "-1"), ["999", "1000", "1"]);
}

#[test]
fn a_fill_with_one_leg_gives_no_price() {
    let history = History::default().flow(day(1), "USDT", "1000");

    let found = one_leg(history, "DUST", "0.01").measured_in("USDT");

    assert_eq!(text(&found.profit), "0");
    assert_eq!(found.unpriced, [asset("DUST")]);
}
