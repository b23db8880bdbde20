//! Exact decimals of any size.

use super::booked::{MONEY_INTEGER_DIGITS, MONEY_PLACES, Money, UNITS_LIMIT};
use super::spelling::{NumberError, check_number};
use bigdecimal::{BigDecimal, RoundingMode, Signed, ToPrimitive, Zero};
use std::fmt;
use std::str::FromStr;

/// An exact decimal. Parsing enforces the limits of [`check_number`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(BigDecimal);

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_number(text)?;
        let value = BigDecimal::from_str(text).map_err(|_| NumberError::NotANumber)?;
        Ok(Self::of(value))
    }
}

impl From<BigDecimal> for Number {
    fn from(value: BigDecimal) -> Self {
        Self::of(value)
    }
}

impl From<Number> for BigDecimal {
    fn from(number: Number) -> Self {
        number.0
    }
}

impl From<Money> for Number {
    fn from(money: Money) -> Self {
        Self::of(BigDecimal::from_bigint(
            money.units().into(),
            i64::from(MONEY_PLACES),
        ))
    }
}

impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number: Number = text.parse().map_err(|e: NumberError| e.to_string())?;
        number.to_money().ok_or_else(|| {
            format!(
                "must have at most {MONEY_INTEGER_DIGITS} integer digits and {MONEY_PLACES} decimal places (given: {text})"
            )
        })
    }
}

impl fmt::Display for Number {
    /// Writes digits without an exponent, equal for equal values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_plain_string())
    }
}

impl Number {
    /// Wraps a computed value, which may exceed the limits of a written number.
    #[must_use]
    pub(crate) fn of(value: BigDecimal) -> Self {
        Self(value.normalized())
    }

    /// Returns whether the number is above zero.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.0.is_positive()
    }

    /// Returns whether the number is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.0.is_negative()
    }

    /// Returns whether the number is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// Returns whether the number has more than [`MONEY_PLACES`] decimal places.
    #[must_use]
    pub fn has_too_many_places(&self) -> bool {
        self.0.as_bigint_and_scale().1 > i64::from(MONEY_PLACES)
    }

    /// Converts to money; `None` when that would round or is out of range.
    #[must_use]
    pub fn to_money(&self) -> Option<Money> {
        if self.has_too_many_places() {
            return None;
        }
        Money::from_units(self.units_rounded())
    }

    /// Rounds half to even to [`MONEY_PLACES`] decimal places; the result may be out of range for the books.
    #[must_use]
    pub fn rounded(&self) -> Self {
        Self::of(self.with_money_places())
    }

    /// Returns the exact product.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        Self::of(&self.0 * &other.0)
    }

    /// Returns the exact sum.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self::of(&self.0 + &other.0)
    }

    /// Returns the number with the opposite sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self::of(-&self.0)
    }

    /// Returns the exact difference.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self::of(&self.0 - &other.0)
    }

    /// Returns the number in units of 10^-18, rounded half to even; out of range it is the first unit beyond the range of
    /// [`Money`], which no balance reaches.
    #[must_use]
    pub(crate) fn units_rounded(&self) -> i128 {
        let (units, _) = self.with_money_places().into_bigint_and_scale();

        let beyond = if units.is_negative() {
            -UNITS_LIMIT
        } else {
            UNITS_LIMIT
        };
        units
            .to_i128()
            .map_or(beyond, |units| units.clamp(-UNITS_LIMIT, UNITS_LIMIT))
    }

    fn with_money_places(&self) -> BigDecimal {
        self.0
            .with_scale_round(i64::from(MONEY_PLACES), RoundingMode::HalfEven)
    }
}
