//! Exact decimals of any size, for sums of money and for ratios.
//!
//! Owns: arithmetic without rounding but in a division, and the one way to a float. Must not know: what is computed.

use crate::money::{MONEY_PLACES, Money, Number};
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, Signed, Zero};
use std::fmt;

/// Digits a quotient has at least, when it does not end before: far more than any float can tell.
pub(super) const DIGITS: u64 = 40;
/// Digits a quotient has at most. Chained quotients would otherwise become longer and longer.
const DIGITS_MAX: u64 = 60;

/// An exact decimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(BigDecimal);

impl Exact {
    /// Nothing.
    #[must_use]
    pub fn zero() -> Self {
        Self(BigDecimal::zero())
    }

    /// One.
    #[must_use]
    pub fn one() -> Self {
        Money::ONE.into()
    }

    pub(super) fn is_positive(&self) -> bool {
        self.0.is_positive()
    }

    pub(super) fn is_negative(&self) -> bool {
        self.0.is_negative()
    }

    #[must_use]
    pub(super) fn negated(&self) -> Self {
        Self(-&self.0)
    }

    #[must_use]
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self(&self.0 + &other.0)
    }

    #[must_use]
    pub(super) fn minus(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    #[must_use]
    pub(super) fn times(&self, other: &Self) -> Self {
        Self(&self.0 * &other.0)
    }

    /// The quotient, cut off after [`DIGITS`] to [`DIGITS_MAX`] digits; `None` for a division by zero. The division of
    /// the library makes a hundred digits one by one.
    #[must_use]
    pub(super) fn over(&self, other: &Self) -> Option<Self> {
        let (above, above_scale) = self.0.as_bigint_and_scale();
        let (below, below_scale) = other.0.as_bigint_and_scale();
        if below.is_zero() {
            return None;
        }

        let shift = (DIGITS + other.0.digits()).saturating_sub(self.0.digits());
        let quotient = &*above * BigInt::from(10).pow(u32::try_from(shift).ok()?) / &*below;
        let scale = above_scale - below_scale + i64::try_from(shift).ok()?;
        let quotient = BigDecimal::new(quotient, scale);

        let is_long = quotient.digits() > DIGITS_MAX;
        Some(Self(if is_long {
            quotient.with_prec(DIGITS_MAX)
        } else {
            quotient
        }))
    }

    /// The nearest float: of a text the standard library finds it, and of no decimal it is ever `NaN`.
    pub(super) fn nearest(&self) -> f64 {
        self.0
            .to_scientific_notation()
            .parse()
            .unwrap_or(f64::INFINITY)
    }
}

impl From<Money> for Exact {
    fn from(money: Money) -> Self {
        Self(BigDecimal::new(
            money.units().into(),
            i64::from(MONEY_PLACES),
        ))
    }
}

impl From<u64> for Exact {
    fn from(count: u64) -> Self {
        Self(count.into())
    }
}

impl From<&Exact> for Number {
    /// To as many places as money has.
    fn from(exact: &Exact) -> Self {
        Self::of(exact.0.clone()).rounded()
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.normalized().to_plain_string())
    }
}
