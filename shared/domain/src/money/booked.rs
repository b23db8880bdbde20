//! Money in the books: fixed-point decimals with checked arithmetic.

use std::fmt;

/// Decimal places of an amount in the books.
pub const MONEY_PLACES: u32 = 18;
/// Digits before the decimal point of an amount in the books.
pub const MONEY_INTEGER_DIGITS: u32 = 20;
const UNITS_PER_ONE: i128 = 10i128.pow(MONEY_PLACES);
pub(super) const UNITS_LIMIT: i128 = 10i128.pow(MONEY_PLACES + MONEY_INTEGER_DIGITS);

/// An amount in the books: a whole count of 10^-18 units below 10^20, the range of `numeric(38,18)`.
///
/// It may be negative, to represent a difference; a balance never is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i128);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// One whole unit.
    pub const ONE: Self = Self(UNITS_PER_ONE);
    /// The largest amount.
    pub const MAX: Self = Self(UNITS_LIMIT - 1);

    /// Converts a count of 10^-18 units; `None` when it is out of range.
    #[must_use]
    pub const fn from_units(units: i128) -> Option<Self> {
        if units > -UNITS_LIMIT && units < UNITS_LIMIT {
            Some(Self(units))
        } else {
            None
        }
    }

    /// Returns the amount as a count of 10^-18 units.
    #[must_use]
    pub const fn units(self) -> i128 {
        self.0
    }

    /// Adds two amounts; `None` when the sum is out of range.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        // Twice the range exceeds an i128.
        Self::from_units(self.0.saturating_add(other.0))
    }

    /// Adds two amounts; a sum out of range is the limit that it exceeds.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        match self.checked_add(other) {
            Some(sum) => sum,
            None if other.0 > 0 => Self::MAX,
            None => Self(-Self::MAX.0),
        }
    }

    /// Subtracts two amounts; `None` when the difference is out of range.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        Self::from_units(self.0.saturating_sub(other.0))
    }

    /// Returns whether the amount is above zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
}

impl fmt::Display for Money {
    /// Writes digits without an exponent or trailing zeros: `0.001`, `12`, `-3.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.abs() / UNITS_PER_ONE;
        let fraction = self.0.abs() % UNITS_PER_ONE;

        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }

        let digits = format!("{fraction:018}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
