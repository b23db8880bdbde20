//! Fractions of exact decimals, for values without a last digit.

use tiris_domain::money::{Money, Number};

/// A fraction; the divisor is above zero.
#[derive(Clone, Debug)]
pub(super) struct Fraction {
    above: Number,
    below: Number,
}

impl From<Number> for Fraction {
    fn from(above: Number) -> Self {
        Self {
            above,
            below: Money::ONE.into(),
        }
    }
}

impl Fraction {
    pub(super) fn new(above: Number, below: Number) -> Self {
        Self { above, below }
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let above = self.above.times(&other.below);
        Self {
            above: above.plus(&other.above.times(&self.below)),
            below: self.below.times(&other.below),
        }
    }

    pub(super) fn minus(&self, other: &Self) -> Self {
        let above = self.above.times(&other.below);
        Self {
            above: above.minus(&other.above.times(&self.below)),
            below: self.below.times(&other.below),
        }
    }

    /// Returns whether a reported amount is within half a unit of its last place.
    pub(super) fn rounds_to(&self, reported: &Number) -> bool {
        let difference = reported.times(&self.below).minus(&self.above);
        let doubled = difference.plus(&difference);
        let unit: Number = Money::from_units(1).expect("a unit").into();
        let limit = unit.times(&self.below);

        !doubled.minus(&limit).is_positive() && !doubled.plus(&limit).is_negative()
    }

    pub(super) fn float(&self) -> f64 {
        float(&self.above) / float(&self.below)
    }
}

pub(super) fn float(number: &Number) -> f64 {
    number.to_string().parse().expect("a float")
}
