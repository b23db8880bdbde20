//! Exact decimals of any size, for sums of money and for ratios: only divisions round.

use crate::money::{MONEY_PLACES, Money, Number};
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, Signed, Zero};
use std::fmt;

/// Minimum number of digits of a quotient that does not terminate earlier, far more than a float has.
pub(super) const DIGITS: u64 = 40;
/// Maximum number of digits of a quotient, without which chained quotients would become longer and longer.
const DIGITS_MAX: u64 = 60;
/// Decimal places of the value of a holding, far more than any figure shows.
pub(super) const WORTH_PLACES: i64 = 60;
/// Decimal places of the value of one unit. They are fewer than those of values, whose rounding is then never a gain or
/// a loss.
pub(super) const UNIT_PLACES: i64 = 40;

/// An exact decimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(BigDecimal);

impl Exact {
    pub(super) fn one() -> Self {
        Money::ONE.into()
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_zero()
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
    pub(super) fn abs(&self) -> Self {
        Self(self.0.abs())
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

    /// Returns the quotient, truncated after [`DIGITS`] to [`DIGITS_MAX`] digits; `None` for a division by zero. The
    /// library's division is slow: it computes a hundred digits one by one.
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

        Some(Self(match quotient.digits() {
            ..=DIGITS_MAX => quotient,
            _ => quotient.with_prec(DIGITS_MAX),
        }))
    }

    /// Returns `self * above / below`, rounded half up to `places` decimal places; `None` for a division by zero. Equal
    /// shares have equal digits, whatever numbers they are computed from.
    #[must_use]
    pub(super) fn share(&self, above: &Self, below: &Self, places: i64) -> Option<Self> {
        let (amount, amount_scale) = self.0.as_bigint_and_scale();
        let (above, above_scale) = above.0.as_bigint_and_scale();
        let (below, below_scale) = below.0.as_bigint_and_scale();
        if below.is_zero() {
            return None;
        }

        let product = &*amount * &*above;
        let scale = amount_scale + above_scale - below_scale;
        // Most shares end early, and short numbers keep later sums fast.
        let quotient = &product / &*below;
        if scale <= places && &quotient * &*below == product {
            return Some(Self(BigDecimal::new(quotient, scale)));
        }

        let shift = BigInt::from(10).pow(u32::try_from((places - scale).abs()).ok()?);
        let rounded = if scale <= places {
            half_up(&(product * shift), &below)
        } else {
            half_up(&product, &(&*below * shift))
        };
        Some(Self(BigDecimal::new(rounded, places)))
    }

    /// Returns the nearest float, which the standard library finds for a text; it is never `NaN`.
    pub(super) fn nearest(&self) -> f64 {
        self.0
            .to_scientific_notation()
            .parse()
            .unwrap_or(f64::INFINITY)
    }
}

/// Returns the quotient, rounded half away from zero.
fn half_up(above: &BigInt, below: &BigInt) -> BigInt {
    let doubled = above.magnitude() * 2u8 + below.magnitude();
    let quotient = BigInt::from(doubled / (below.magnitude() * 2u8));

    if above.is_negative() == below.is_negative() {
        quotient
    } else {
        -quotient
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
    /// Rounds to the decimal places of money.
    fn from(exact: &Exact) -> Self {
        Self::of(exact.0.clone()).rounded()
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.normalized().to_plain_string())
    }
}
