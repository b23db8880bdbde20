//! Exact decimals of the auditor: reading them, and rounding to the twelve places of the books.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::{BigInt, Sign};

const PLACES: i64 = 12;

/// A number as JSON writes it, of at most 40 digits and an exponent within ±64.
pub(super) fn parse(text: &str) -> Option<BigDecimal> {
    let mut characters = text.chars().peekable();
    let negative = characters.next_if_eq(&'-').is_some();
    let mut digits = String::new();
    let mut places = 0i64;
    while let Some(digit) = characters.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    if characters.next_if_eq(&'.').is_some() {
        while let Some(digit) = characters.next_if(char::is_ascii_digit) {
            digits.push(digit);
            places += 1;
        }
        if places == 0 {
            return None;
        }
    }
    if digits.len() > 40 {
        return None;
    }
    if characters.next_if(|c| matches!(c, 'e' | 'E')).is_some() {
        let down = characters.next_if(|c| matches!(c, '+' | '-')) == Some('-');
        let exponent: String = characters.by_ref().collect();
        if exponent.is_empty() || !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = exponent.trim_start_matches('0');
        let size: i64 = if significant.is_empty() {
            0
        } else {
            significant.parse().ok()?
        };
        if size > 64 {
            return None;
        }
        places += if down { size } else { -size };
    }
    if characters.next().is_some() {
        return None;
    }
    let sign = if negative { Sign::Minus } else { Sign::Plus };
    let digits = BigInt::parse_bytes(digits.as_bytes(), 10)?;
    Some(BigDecimal::from_bigint(
        BigInt::from_biguint(sign, digits.magnitude().clone()),
        places,
    ))
}

/// Whether the books cannot hold the value without rounding.
pub(super) fn is_too_fine(value: &BigDecimal) -> bool {
    rounded(value) != *value
}

/// Whether the value has more than sixteen digits before the point.
pub(super) fn is_too_large(value: &BigDecimal) -> bool {
    value.abs() >= 10_000_000_000_000_000_i64
}

/// Rounded to twelve places, a half to the even neighbour.
pub(super) fn rounded(value: &BigDecimal) -> BigDecimal {
    let (digits, places) = value.as_bigint_and_exponent();
    if places <= PLACES {
        return value.clone();
    }
    let mut divisor = BigInt::from(1);
    for _ in PLACES..places {
        divisor *= 10;
    }
    let (mut kept, cut) = (&digits / &divisor, &digits % &divisor);
    let twice = BigInt::from(cut.magnitude().clone()) * 2;
    let is_odd = &kept % 2 != BigInt::from(0);
    if twice > divisor || (twice == divisor && is_odd) {
        kept += if digits.sign() == Sign::Minus { -1 } else { 1 };
    }
    BigDecimal::from_bigint(kept, PLACES)
}
