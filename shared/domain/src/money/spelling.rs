//! How a number may be written.

/// Digits a number may be written with, also inside free JSON.
pub const NUMBER_DIGITS_MAX: usize = 40;
/// Largest magnitude of a written exponent.
pub const NUMBER_EXPONENT_MAX: u8 = 64;

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

    match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            check_mantissa(mantissa)?;
            check_exponent(exponent)
        }
        None => check_mantissa(unsigned),
    }
}

fn check_mantissa(mantissa: &str) -> Result<(), NumberError> {
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    if !is_digits(whole) || fraction.is_some_and(|part| !is_digits(part)) {
        return Err(NumberError::NotANumber);
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return Err(NumberError::NotANumber);
    }

    if whole.len() + fraction.map_or(0, str::len) > NUMBER_DIGITS_MAX {
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
        Ok(value) if value <= NUMBER_EXPONENT_MAX => Ok(()),
        Ok(_) | Err(_) => Err(NumberError::ExponentTooLarge),
    }
}

fn is_digits(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}
