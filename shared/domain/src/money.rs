//! Exact decimals: [`Number`] has the value of a written number, [`Money`] the range of the books. Both work without floats.

mod booked;
mod number;
mod spelling;

pub use booked::{MONEY_INTEGER_DIGITS, MONEY_PLACES, Money};
pub use number::Number;
pub use spelling::{NUMBER_DIGITS_MAX, NUMBER_EXPONENT_MAX, NumberError, check_number};

#[cfg(test)]
mod tests;
