//! Exact decimals: [`Number`] has the value of a written number, [`Money`] the range of the books,
//! [`Price`] the digits of a ratio. All work without floats.

mod booked;
mod number;
mod price;
mod spelling;

pub use booked::{MONEY_INTEGER_DIGITS, MONEY_PLACES, Money};
pub use number::Number;
pub use price::{PRICE_DIGITS, Price};
pub use spelling::{NUMBER_DIGITS_MAX, NUMBER_EXPONENT_MAX, NumberError, check_number};

#[cfg(test)]
mod tests;
