//! Prices: ratios between two assets, kept as given.

use super::booked::Money;
use super::number::Number;
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, Context, RoundingMode, Zero};
use std::fmt;
use std::num::NonZeroU64;

/// Significant digits of a price; a longer one is rounded.
pub const PRICE_DIGITS: u64 = 40;
/// Decimal places of a quotient of two amounts before it is rounded: the digits of an amount and of a price, and one more.
const EXCHANGE_PLACES: u32 = 79;

/// The price of one unit of an asset: an exact decimal of at most [`PRICE_DIGITS`] significant digits, however small.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(Number);

impl Price {
    /// Returns the price at which `quote` was exchanged for `base`, rounded half to even to [`PRICE_DIGITS`] significant
    /// digits; `None` without a base.
    #[must_use]
    pub fn of_exchange(quote: Money, base: Money) -> Option<Self> {
        if base == Money::ZERO {
            return None;
        }

        // An amount has at most 38 digits, so the quotient has more digits than a price.
        let above = BigInt::from(quote.units()) * BigInt::from(10).pow(EXCHANGE_PLACES);
        let below = BigInt::from(base.units());
        let quotient = &above / &below;
        // A digit for the remainder decides what would otherwise be a tie.
        let is_exact = (above % below).is_zero();
        let digit = if is_exact {
            0
        } else {
            quote.units().signum() * base.units().signum()
        };

        let quotient = quotient * 10 + digit;
        let scale = i64::from(EXCHANGE_PLACES) + 1;
        Some(BigDecimal::from_bigint(quotient, scale).into())
    }

    /// Returns the price as a number.
    #[must_use]
    pub const fn number(&self) -> &Number {
        &self.0
    }
}

impl From<BigDecimal> for Price {
    /// Rounds half to even to [`PRICE_DIGITS`] significant digits.
    fn from(value: BigDecimal) -> Self {
        let value = value.normalized();
        if value.digits() <= PRICE_DIGITS {
            return Self(Number::of(value));
        }

        let digits = NonZeroU64::new(PRICE_DIGITS).unwrap_or(NonZeroU64::MIN);
        let context = Context::new(digits, RoundingMode::HalfEven);
        Self(Number::of(context.round_decimal(value)))
    }
}

impl From<Number> for Price {
    /// Rounds half to even to [`PRICE_DIGITS`] significant digits.
    fn from(number: Number) -> Self {
        BigDecimal::from(number).into()
    }
}

impl From<Money> for Price {
    fn from(money: Money) -> Self {
        Self(money.into())
    }
}

impl From<Price> for BigDecimal {
    fn from(price: Price) -> Self {
        price.0.into()
    }
}

impl fmt::Display for Price {
    /// Writes digits without an exponent, equal for equal values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
