//! Exact decimals of the auditor: parsing, and rounding to the eighteen places of the books.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::{BigInt, Sign};

const PLACES: i64 = 18;

/// Parses a JSON number of at most 1,000 digits and an exponent within ±64.
pub(super) fn parse(text: &str) -> Option<BigDecimal> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (Sign::Minus, rest),
        None => (Sign::Plus, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (rest, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let digits = [whole, fraction].concat();
    let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
    if whole.is_empty() || has_leading_zero || digits.len() > 1_000 || !is_digits(&digits) {
        return None;
    }

    let places = i64::try_from(fraction.len()).ok()? - exponent;
    let digits = BigInt::parse_bytes(digits.as_bytes(), 10)?;
    let number = BigInt::from_biguint(sign, digits.magnitude().clone());
    Some(BigDecimal::from_bigint(number, places))
}

/// Parses the digits after the `e`.
fn parse_exponent(text: &str) -> Option<i64> {
    let size = text.strip_prefix(['+', '-']).unwrap_or(text);
    let significant = size.trim_start_matches('0');
    if size.is_empty() || !is_digits(size) || significant.len() > 2 {
        return None;
    }

    let size: i64 = format!("0{significant}").parse().ok()?;
    match text.starts_with('-') {
        _ if size > 64 => None,
        true => Some(-size),
        false => Some(size),
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reports whether a value has more than twenty digits before the point.
pub(super) fn is_too_large(value: &BigDecimal) -> bool {
    value.abs() >= 100_000_000_000_000_000_000_i128
}

/// Returns the largest amount of twenty digits before the point and eighteen after it.
pub(super) fn largest() -> BigDecimal {
    let digits = BigInt::from(10).pow(38) - 1;
    BigDecimal::from_bigint(digits, PLACES)
}

/// Rounds to eighteen places, half to even.
pub(super) fn rounded(value: &BigDecimal) -> BigDecimal {
    let (digits, places) = value.as_bigint_and_exponent();
    if places <= PLACES {
        return value.clone();
    }
    let mut divisor = BigInt::from(1);
    for _ in PLACES..places {
        divisor *= 10;
    }

    let mut kept = &digits / &divisor;
    let cut = &digits % &divisor;
    let twice = BigInt::from(cut.magnitude().clone()) * 2;
    let is_odd = &kept % 2 != BigInt::from(0);
    if twice > divisor || (twice == divisor && is_odd) {
        kept += if digits.sign() == Sign::Minus { -1 } else { 1 };
    }
    BigDecimal::from_bigint(kept, PLACES)
}
