//! The accepted spelling of numbers.

/// Maximum number of digits of a written number, also in free JSON: more than the exact value of any float has (767), and few
/// enough for PostgreSQL to keep them all.
pub const NUMBER_DIGITS_MAX: usize = 1_000;
/// Largest magnitude of a written exponent.
pub const NUMBER_EXPONENT_MAX: u8 = 64;

/// The reason why a text is not accepted as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The text is not a JSON number.
    #[error("not a decimal number")]
    NotANumber,
    /// The number has more than [`NUMBER_DIGITS_MAX`] digits.
    #[error("more than {NUMBER_DIGITS_MAX} digits")]
    TooManyDigits,
    /// The exponent is beyond ±[`NUMBER_EXPONENT_MAX`].
    #[error("exponent beyond ±{NUMBER_EXPONENT_MAX}")]
    ExponentTooLarge,
}

/// Checks that a text is a JSON number within the limits on digits and exponent.
pub fn check_number(text: &str) -> Result<(), NumberError> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let Some((mantissa, exponent)) = unsigned.split_once(['e', 'E']) else {
        return check_mantissa(unsigned);
    };

    check_mantissa(mantissa)?;
    check_exponent(exponent)
}

fn check_mantissa(mantissa: &str) -> Result<(), NumberError> {
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
    if !is_digits(whole) || !is_digits(fraction) || has_leading_zero {
        return Err(NumberError::NotANumber);
    }

    if mantissa.bytes().filter(u8::is_ascii_digit).count() > NUMBER_DIGITS_MAX {
        return Err(NumberError::TooManyDigits);
    }
    Ok(())
}

fn check_exponent(exponent: &str) -> Result<(), NumberError> {
    let magnitude = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if !is_digits(magnitude) {
        return Err(NumberError::NotANumber);
    }

    match magnitude.parse::<u8>() {
        Ok(0..=NUMBER_EXPONENT_MAX) => Ok(()),
        Ok(_) | Err(_) => Err(NumberError::ExponentTooLarge),
    }
}

fn is_digits(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}
