//! The names of assets, pairs of assets, and orders.

mod asset;

pub use asset::Asset;

use crate::value::newtype::{string_value, text_newtype};
use crate::value::{Invalid, Schema};
use std::fmt;
use std::str::FromStr;

/// Longest order id, in characters; the index cannot hold a much longer one.
const ORDER_ID_LENGTH_MAX: usize = 128;

/// The assets of a trade, written `BASE/QUOTE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// The traded asset.
    pub base: Asset,
    /// The asset of the price.
    pub quote: Asset,
}

impl TryFrom<String> for Pair {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let Some((base, quote)) = text.split_once('/') else {
            return Err(Invalid::given("must be BASE/QUOTE", &text.into()));
        };

        match (Asset::parse(base), Asset::parse(quote)) {
            (Some(base), Some(quote)) => Ok(Self { base, quote }),
            _ => Err(Asset::invalid(text)),
        }
    }
}

impl FromStr for Pair {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.quote)
    }
}

string_value!(
    Pair,
    Schema {
        pattern: Some(r"^[^\s/\x00-\x1f\x7f-\x9f]{1,64}/[^\s/\x00-\x1f\x7f-\x9f]{1,64}$"),
        example: Some(|| "BTC/USDT".into()),
        ..Schema::STRING
    }
);

/// An order id: 1 to 128 characters. The unnamed hold is `None` wherever an order is optional.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(String);

impl TryFrom<String> for OrderId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        if (1..=ORDER_ID_LENGTH_MAX).contains(&text.chars().count()) {
            Ok(Self(text))
        } else {
            Err(Invalid::given(
                format!("must have 1 to {ORDER_ID_LENGTH_MAX} characters"),
                &text.into(),
            ))
        }
    }
}

text_newtype!(
    OrderId,
    Schema {
        min_length: Some(1),
        max_length: Some(ORDER_ID_LENGTH_MAX),
        ..Schema::STRING
    }
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn a_pair_is_two_symbols() {
        let pair = Pair::from_json("btc/USDT".into()).expect("valid");

        assert_eq!(pair.to_string(), "BTC/USDT");
        for text in ["BTC", "BTC/USDT/X", "/USDT", "BTC/", "BTC/ USDT"] {
            assert!(Pair::from_json(text.into()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pair_takes_symbols_of_any_script() {
        let pair = Pair::from_json("币安人生/usdt".into()).expect("valid");

        assert_eq!(pair.base.as_str(), "币安人生");
        assert_eq!(pair.to_string(), "币安人生/USDT");
    }

    #[test]
    fn an_order_id_has_one_to_128_characters() {
        for text in ["é".to_owned(), "é".repeat(128)] {
            assert!(OrderId::from_json(text.into()).is_ok());
        }
        for text in [String::new(), "é".repeat(129)] {
            assert!(OrderId::from_json(text.into()).is_err());
        }
    }
}
