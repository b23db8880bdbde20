//! Exact decimals: [`Number`] is what somebody wrote, [`Money`] is what the books can hold.
//!
//! No float is ever involved: the digits are read as they stand.

mod booked;
mod number;
mod spelling;

pub use booked::{MONEY_INTEGER_DIGITS, MONEY_PLACES, Money};
pub use number::Number;
pub use spelling::{NUMBER_DIGITS_MAX, NUMBER_EXPONENT_MAX, NumberError, check_number};

#[cfg(test)]
mod tests;
