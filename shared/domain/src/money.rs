//! Exact decimals: [`Number`] is what somebody wrote, [`Money`] is what the books can hold.
//!
//! Owns: parsing, rounding and checked arithmetic. Must not know: where a figure comes from or goes to.
//! No float is ever involved: the digits are read as they stand.

use bigdecimal::{BigDecimal, RoundingMode, Signed, ToPrimitive, Zero};
use rust_decimal::Decimal;
use std::fmt;
use std::str::FromStr;

/// Decimal places of every amount that moves.
pub const MONEY_PLACES: u32 = 12;
/// Digits before the decimal point of every amount that moves.
pub const MONEY_INTEGER_DIGITS: u32 = 16;
/// Digits a number may be written with; see [`crate::json`] for the same limit inside free JSON.
pub const NUMBER_DIGITS_MAX: usize = 40;
/// Largest magnitude of a written exponent.
pub const NUMBER_EXPONENT_MAX: i64 = 64;

const UNITS_PER_ONE: i128 = 10i128.pow(MONEY_PLACES);
const UNITS_LIMIT: i128 = 10i128.pow(MONEY_PLACES + MONEY_INTEGER_DIGITS);

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
        let (whole, fraction) = (self.0.abs() / UNITS_PER_ONE, self.0.abs() % UNITS_PER_ONE);
        let sign = if self.0 < 0 { "-" } else { "" };
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

/// Why a text is no number of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It is not written as JSON writes numbers.
    #[error("not a decimal number")]
    NotANumber,
    /// It has more than [`NUMBER_DIGITS_MAX`] digits.
    #[error("more than {NUMBER_DIGITS_MAX} digits")]
    TooManyDigits,
    /// Its exponent is beyond ±[`NUMBER_EXPONENT_MAX`].
    #[error("exponent beyond ±{NUMBER_EXPONENT_MAX}")]
    ExponentTooLarge,
}

/// Checks the form of a number as JSON writes it, and the limits on its digits and exponent.
pub fn check_number(text: &str) -> Result<(), NumberError> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits_only = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits_only(whole) || fraction.is_some_and(|part| !digits_only(part)) {
        return Err(NumberError::NotANumber);
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return Err(NumberError::NotANumber);
    }
    if whole.len() + fraction.map_or(0, str::len) > NUMBER_DIGITS_MAX {
        return Err(NumberError::TooManyDigits);
    }
    let Some(exponent) = exponent else {
        return Ok(());
    };
    let magnitude = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if !digits_only(magnitude) {
        return Err(NumberError::NotANumber);
    }
    let magnitude = magnitude.trim_start_matches('0');
    if magnitude.len() > 2
        || magnitude
            .parse::<i64>()
            .is_ok_and(|value| value > NUMBER_EXPONENT_MAX)
    {
        return Err(NumberError::ExponentTooLarge);
    }
    Ok(())
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Number {
        text.parse().expect(text)
    }

    #[test]
    fn money_is_read_exactly_from_every_spelling() {
        for (text, expected) in [
            ("0.1", "0.1"),
            ("1e-8", "0.00000001"),
            (
                "123456789012345.123456789012",
                "123456789012345.123456789012",
            ),
            (
                "9999999999999999.999999999999",
                "9999999999999999.999999999999",
            ),
            ("1.10", "1.1"),
            ("-3.50", "-3.5"),
            ("1E+3", "1000"),
            ("0.000000000001", "0.000000000001"),
            ("0.1000000000000000", "0.1"),
        ] {
            assert_eq!(number(text).to_money().expect(text).to_string(), expected);
        }
    }

    #[test]
    fn thirteen_places_and_seventeen_integer_digits_do_not_fit() {
        assert!(number("0.0000000000001").has_too_many_places());
        assert_eq!(number("0.0000000000001").to_money(), None);
        assert_eq!(number("10000000000000000").to_money(), None);
        assert_eq!(number("1e64").to_money(), None);
        assert_eq!(number("-1e64").to_money(), None);
    }

    #[test]
    fn what_is_no_json_number_is_refused() {
        for text in [
            "", "-", "+1", ".5", "5.", "01", "1e", "1e+", "0x1", "1_000", "NaN", "inf", " 1", "1 ",
            "１",
        ] {
            let parsed = text.parse::<Number>();
            assert_eq!(parsed, Err(NumberError::NotANumber), "{text:?}");
        }
    }

    #[test]
    fn a_number_beyond_the_limits_is_refused() {
        let digits = "1".repeat(41).parse::<Number>();
        assert_eq!(digits, Err(NumberError::TooManyDigits));
        for text in ["1e65", "1e-1000000000000"] {
            let parsed = text.parse::<Number>();
            assert_eq!(parsed, Err(NumberError::ExponentTooLarge), "{text}");
        }
        assert!("1e-0000064".parse::<Number>().is_ok());
    }

    #[test]
    fn a_product_is_rounded_once_and_half_to_even() {
        let product = number("1000000.000003002994").times(&number("1000.000500000999"));
        assert_eq!(product.to_string(), "1000000500.004001995501499999991006");
        assert_eq!(product.rounded().to_string(), "1000000500.004001995501");

        let rounded = |text| number(text).rounded().to_string();
        assert_eq!(rounded("0.0000000000005"), "0");
        assert_eq!(rounded("0.0000000000015"), "0.000000000002");
    }

    proptest! {
        #[test]
        fn money_survives_text_and_database(units in -(UNITS_LIMIT - 1)..UNITS_LIMIT) {
            let money = Money::from_units(units).expect("in range");

            prop_assert_eq!(money.to_string().parse::<Money>().expect("own text"), money);
            prop_assert_eq!(Money::from_decimal(money.to_decimal()), Some(money));
            prop_assert_eq!(Number::from(money).to_money(), Some(money));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,60}") {
            let _outcome = text.parse::<Number>();
        }
    }
}
