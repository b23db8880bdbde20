//! Money in the books: a range of exact decimals, with checked arithmetic.

use rust_decimal::Decimal;
use std::fmt;

/// Decimal places of every amount that moves.
pub const MONEY_PLACES: u32 = 12;
/// Digits before the decimal point of every amount that moves.
pub const MONEY_INTEGER_DIGITS: u32 = 16;
const UNITS_PER_ONE: i128 = 10i128.pow(MONEY_PLACES);
pub(super) const UNITS_LIMIT: i128 = 10i128.pow(MONEY_PLACES + MONEY_INTEGER_DIGITS);

/// An amount in the books: a whole count of 10^-12 units below 10^16, the range of `numeric(28,12)`.
///
/// The sign is free so that differences can be told; the ledger never keeps a negative balance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One whole unit.
    pub const ONE: Self = Self(UNITS_PER_ONE);

    /// `units` of 10^-12, when they are in range.
    #[must_use]
    pub const fn from_units(units: i128) -> Option<Self> {
        if units > -UNITS_LIMIT && units < UNITS_LIMIT {
            Some(Self(units))
        } else {
            None
        }
    }

    /// The amount counted in units of 10^-12.
    #[must_use]
    pub const fn units(self) -> i128 {
        self.0
    }

    /// Sum, `None` when it leaves the range.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        Self::from_units(self.0 + other.0)
    }

    /// Difference, `None` when it leaves the range.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        Self::from_units(self.0 - other.0)
    }

    /// Whether the amount is above zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// The amount as the database driver takes it, always with twelve places.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        // In range by construction: 28 digits fit the 96 bits of a Decimal.
        Decimal::from_i128_with_scale(self.0, MONEY_PLACES)
    }

    /// The amount the database driver gives; `None` when the column holds what the books cannot.
    #[must_use]
    pub fn from_decimal(value: Decimal) -> Option<Self> {
        let scale = value.scale();
        if scale <= MONEY_PLACES {
            Self::from_units(
                value
                    .mantissa()
                    .checked_mul(10i128.pow(MONEY_PLACES - scale))?,
            )
        } else {
            let divisor = 10i128.pow(scale - MONEY_PLACES);
            (value.mantissa() % divisor == 0)
                .then(|| Self::from_units(value.mantissa() / divisor))?
        }
    }
}

impl fmt::Display for Money {
    /// Plain digits without an exponent or trailing zeros: `0.001`, `12`, `-3.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.abs() / UNITS_PER_ONE;
        let fraction = self.0.abs() % UNITS_PER_ONE;

        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }

        let digits = format!("{fraction:012}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
