//! The figures of an order depend on the sums of its legs only.

use super::*;
use proptest::prelude::*;

/// A posting of the order.
#[derive(Clone, Copy, Debug)]
struct Leg {
    symbol: &'static str,
    /// The signed amount in hundredths.
    amount: i128,
    reason: &'static str,
    /// Whether it is a leg of a fill in USDT.
    is_fill: bool,
    /// The fee within the amount, in hundredths.
    fee: i128,
}

impl Leg {
    const fn new(symbol: &'static str, amount: i128, reason: &'static str) -> Self {
        Self {
            symbol,
            amount,
            reason,
            is_fill: false,
            fee: 0,
        }
    }

    /// Splits the leg into at most so many parts of different sizes.
    fn split(self, parts: i128) -> Vec<Self> {
        let size = self.amount.abs() / (parts + 1);
        let fee = self.fee / (parts + 1);
        let mut rest = self;
        let mut split = Vec::new();

        for _ in 1..parts {
            let part = Self {
                amount: size * self.amount.signum(),
                fee,
                ..self
            };
            rest.amount -= part.amount;
            rest.fee -= part.fee;
            split.push(part);
        }
        split.push(rest);
        split.retain(|part| part.amount != 0);
        split
    }
}

fn legs() -> impl Strategy<Value = Vec<Leg>> {
    let amounts = (any::<bool>(), 1..100_000i128, 3..1_000_000i128);
    let fees = (0..300i128, -200..200i128, -200..200i128, 0..2i128);
    (amounts, fees, any::<[bool; 2]>()).prop_map(|(amounts, fees, are_fills)| {
        let (is_buy, stock, currency) = amounts;
        let (within, of_currency, of_third, of_stock) = fees;
        let sign = if is_buy { 1 } else { -1 };
        let fee = within.min(currency - 1);
        let mut legs = vec![
            Leg::new("BTC", sign * stock, "trade"),
            Leg::new("USDT", -sign * currency - fee, "trade"),
            Leg::new("USDT", of_currency, "rebate"),
            Leg::new("BNB", of_third, "Commission"),
            Leg::new("BTC", -of_stock, "fee"),
        ];
        legs[1].fee = fee;
        for leg in &mut legs[..2] {
            leg.is_fill = are_fills[0];
        }
        if !are_fills[0] {
            legs[1].fee = 0;
        }
        if are_fills[1] {
            legs.push(Leg::new("BTC", sign, "other"));
        }
        legs.retain(|leg| leg.amount != 0);
        legs
    })
}

/// Splits legs and shuffles their parts.
fn shuffled(legs: Vec<Leg>) -> impl Strategy<Value = Vec<Leg>> {
    let parts = prop::collection::vec(1..5i128, legs.len());
    let parts = parts.prop_map(move |parts| {
        let split = legs.iter().zip(parts).map(|(leg, parts)| leg.split(parts));
        split.flatten().collect::<Vec<_>>()
    });
    parts.prop_flat_map(|parts| Just(parts).prop_shuffle())
}

fn signed(hundredths: i128) -> String {
    let units = hundredths * (Money::ONE.units() / 100);
    Money::from_units(units).expect("small").to_string()
}

impl History {
    fn legs(mut self, legs: &[Leg]) -> Self {
        for leg in legs {
            let fee = signed(leg.fee);
            let posting = self.add(day(3), leg.symbol, &signed(leg.amount), leg.reason);
            posting.order = "o".parse().ok();
            if leg.is_fill {
                posting.quote = Some(asset("USDT"));
                posting.fee = Some(money(&fee)).filter(|fee| fee.is_positive());
            }
        }
        self
    }
}

/// Returns a history with these legs at a moment of other orders, before a sale.
fn around(legs: &[Leg]) -> History {
    History::default()
        .flow(day(1), "USDT", "100000")
        .buy(day(1), "BNB/USDT", "3", "0.7", FREE)
        .buy(day(2), "BTC/USDT", "2000", "0.3", Fee::Within("1"))
        .leg(day(3), "USDT", "-3", "p")
        .flow(day(3), "USDT", "5")
        .legs(legs)
        .leg(day(3), "ETH", "0.7", "p")
        .sell(day(4), "BTC/USDT", "7", "2.5", FREE)
}

proptest! {
    #[test]
    fn split_and_shuffled_legs_have_equal_figures(
        (whole, parts) in legs().prop_flat_map(|legs| (Just(legs.clone()), shuffled(legs))),
        measure in prop::sample::select(vec!["USDT", "BTC", "ETH"]),
    ) {
        let whole = around(&whole);
        let parts = around(&parts);

        prop_assert_eq!(whole.measured_in(measure), parts.measured_in(measure));
        let curve = whole.curve(measure, Interval::Hour);
        prop_assert_eq!(curve, parts.curve(measure, Interval::Hour));
    }
}
