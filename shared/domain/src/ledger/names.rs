//! The names of assets, pairs of assets, and orders.

use crate::value::newtype::{string_value, text_newtype};
use crate::value::{Invalid, Schema};
use std::fmt;

/// Longest asset symbol, in characters.
const ASSET_LENGTH_MAX: usize = 20;
/// Longest order id, in characters; the index cannot hold a much longer one.
const ORDER_ID_LENGTH_MAX: usize = 128;

/// The symbol of an asset: 1 to 20 printable ASCII characters without `/`, in upper case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asset(String);

impl Asset {
    fn is_valid(text: &str) -> bool {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'/';

        (1..=ASSET_LENGTH_MAX).contains(&text.len()) && text.bytes().all(is_allowed)
    }

    fn invalid(text: String) -> Invalid {
        Invalid::given(
            format!("must be 1 to {ASSET_LENGTH_MAX} printable ASCII characters without '/'"),
            &text.into(),
        )
    }
}

impl TryFrom<String> for Asset {
    type Error = Invalid;

    fn try_from(mut text: String) -> Result<Self, Invalid> {
        if !Self::is_valid(&text) {
            return Err(Self::invalid(text));
        }

        text.make_ascii_uppercase();
        Ok(Self(text))
    }
}

text_newtype!(
    Asset,
    Schema {
        pattern: Some("^[!-.0-~]*$"),
        min_length: Some(1),
        max_length: Some(ASSET_LENGTH_MAX),
        example: Some(|| "BTC".into()),
        ..Schema::STRING
    }
);

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
        if !Asset::is_valid(base) || !Asset::is_valid(quote) {
            return Err(Asset::invalid(text));
        }

        Ok(Self {
            base: Asset(base.to_ascii_uppercase()),
            quote: Asset(quote.to_ascii_uppercase()),
        })
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
        pattern: Some("^[!-.0-~]{1,20}/[!-.0-~]{1,20}$"),
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
    fn accepts_a_symbol_at_its_limits_in_upper_case() {
        for text in ["b", "a!-.0~bcdefghijklmno"] {
            let asset = Asset::from_json(text.into()).expect("within the limits");

            assert_eq!(asset.as_str(), text.to_ascii_uppercase());
        }
    }

    #[test]
    fn rejects_a_symbol_beyond_its_limits_with_the_value() {
        for text in ["", "a/b", "a b", "é", &"A".repeat(21)] {
            let invalid = Asset::from_json(text.into()).expect_err("beyond a limit");

            assert_eq!(
                invalid.to_string(),
                format!(
                    "must be 1 to 20 printable ASCII characters without '/' (given: \"{text}\")"
                )
            );
        }
    }

    #[test]
    fn a_pair_is_two_symbols() {
        let pair = Pair::from_json("btc/USDT".into()).expect("valid");

        assert_eq!(pair.to_string(), "BTC/USDT");
        for text in ["BTC", "BTC/USDT/X", "/USDT", "BTC/"] {
            assert!(Pair::from_json(text.into()).is_err(), "{text}");
        }
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
