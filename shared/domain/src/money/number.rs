//! Exact decimals of any size, as they were written.

use super::booked::{MONEY_INTEGER_DIGITS, MONEY_PLACES, Money, UNITS_LIMIT};
use super::spelling::{NumberError, check_number};
use bigdecimal::{BigDecimal, RoundingMode, Signed, ToPrimitive, Zero};
use std::fmt;
use std::str::FromStr;

/// An exact decimal as somebody wrote it, within the limits of [`check_number`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(BigDecimal);

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_number(text)?;
        let value = BigDecimal::from_str(text).map_err(|_| NumberError::NotANumber)?;
        Ok(Self(value.normalized()))
    }
}

impl From<Money> for Number {
    fn from(money: Money) -> Self {
        Self(BigDecimal::from_bigint(money.units().into(), i64::from(MONEY_PLACES)).normalized())
    }
}

impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number: Number = text.parse().map_err(|e: NumberError| e.to_string())?;
        number.to_money().ok_or_else(|| {
            format!(
                "{text} does not fit {MONEY_INTEGER_DIGITS} integer digits and {MONEY_PLACES} decimal places"
            )
        })
    }
}

impl fmt::Display for Number {
    /// Plain digits, equal for equal values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_plain_string())
    }
}

impl Number {
    /// The number, which may be beyond the limits on what is written.
    #[must_use]
    pub(crate) fn of(value: BigDecimal) -> Self {
        Self(value.normalized())
    }

    /// Whether it is above zero.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.0.is_positive()
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.0.is_negative()
    }

    /// Whether it is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// Whether it needs more than [`MONEY_PLACES`] decimal places.
    #[must_use]
    pub fn has_too_many_places(&self) -> bool {
        self.0.as_bigint_and_scale().1 > i64::from(MONEY_PLACES)
    }

    /// The same amount in the books, when it fits without rounding.
    #[must_use]
    pub fn to_money(&self) -> Option<Money> {
        if self.has_too_many_places() {
            None
        } else {
            Money::from_units(self.units_rounded())
        }
    }

    /// Rounded half to even to [`MONEY_PLACES`] decimal places; the value may still be out of range for the books.
    #[must_use]
    pub fn rounded(&self) -> Self {
        Self(
            self.0
                .with_scale_round(i64::from(MONEY_PLACES), RoundingMode::HalfEven)
                .normalized(),
        )
    }

    /// The exact product, to be rounded once by whoever books it.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        Self((&self.0 * &other.0).normalized())
    }

    /// The exact sum.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self((&self.0 + &other.0).normalized())
    }

    /// The exact difference.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self((&self.0 - &other.0).normalized())
    }

    /// Units of 10^-12, rounded half to even; beyond ten times the range of [`Money`] it stays there.
    ///
    /// The cap lets sums and comparisons with balances be made without overflow and come out right.
    #[must_use]
    pub(crate) fn units_rounded(&self) -> i128 {
        const CAP: i128 = UNITS_LIMIT * 10;
        let scaled = self
            .0
            .with_scale_round(i64::from(MONEY_PLACES), RoundingMode::HalfEven);
        let (units, _) = scaled.into_bigint_and_scale();

        let beyond = if units.is_negative() { -CAP } else { CAP };
        units
            .to_i128()
            .map_or(beyond, |units| units.clamp(-CAP, CAP))
    }
}
