//! The names of things in the ledger: assets, pairs of them, and orders.

use crate::value::newtype::text_newtype;
use crate::value::{Invalid, Schema, SchemaKind, Value, string};
use serde_json::Value as Json;
use std::fmt;
use std::str::FromStr;

/// The symbol of an asset: 1 to 20 printable ASCII characters without `/`, upper case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Asset(String);

/// Longest symbol, in characters.
const ASSET_LENGTH_MAX: usize = 20;

impl FromStr for Asset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'/';

        if (1..=ASSET_LENGTH_MAX).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(format!(
                "must be 1 to {ASSET_LENGTH_MAX} printable ASCII characters without '/'"
            ))
        }
    }
}

impl Value for Asset {
    fn schema() -> Schema {
        Schema {
            pattern: Some("^[!-.0-~]*$"),
            min_length: Some(1),
            max_length: Some(ASSET_LENGTH_MAX),
            example: Some(|| "BTC".into()),
            ..Schema::new("string", SchemaKind::String)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        parse(value)
    }

    fn to_json(&self) -> Json {
        Json::from(self.as_str())
    }
}

text_newtype!(Asset);

/// The assets of a trade, written `BASE/QUOTE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// What is traded.
    pub base: Asset,
    /// What it is paid in.
    pub quote: Asset,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (base, quote) = text
            .split_once('/')
            .ok_or_else(|| "must be BASE/QUOTE".to_owned())?;

        Ok(Self {
            base: base.parse()?,
            quote: quote.parse()?,
        })
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.quote)
    }
}

impl Value for Pair {
    fn schema() -> Schema {
        Schema {
            pattern: Some("^[!-.0-~]{1,20}/[!-.0-~]{1,20}$"),
            example: Some(|| "BTC/USDT".into()),
            ..Schema::new("string", SchemaKind::String)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        parse(value)
    }

    fn to_json(&self) -> Json {
        Json::from(self.to_string())
    }
}

/// An order id: 1 to 128 characters. The unnamed hold is `None` wherever an order is optional.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct OrderId(String);

/// Longest order id, in characters; a longer one would break an index.
pub const ORDER_ID_LENGTH_MAX: usize = 128;

impl FromStr for OrderId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if (1..=ORDER_ID_LENGTH_MAX).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must have 1 to {ORDER_ID_LENGTH_MAX} characters"))
        }
    }
}

impl Value for OrderId {
    fn schema() -> Schema {
        Schema {
            min_length: Some(1),
            max_length: Some(ORDER_ID_LENGTH_MAX),
            ..Schema::new("string", SchemaKind::String)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        parse(value)
    }

    fn to_json(&self) -> Json {
        Json::from(self.as_str())
    }
}

text_newtype!(OrderId);

/// A name in a string; an error shows the string.
fn parse<T: FromStr<Err = String>>(value: Json) -> Result<T, Invalid> {
    let text = string(value)?;

    text.parse()
        .map_err(|why| Invalid::given(why, &text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_at_its_limits_is_accepted_in_upper_case() {
        for text in ["b", "a!-.0~bcdefghijklmno"] {
            let asset = Asset::from_json(text.into()).expect("within the limits");

            assert_eq!(asset.as_str(), text.to_ascii_uppercase());
        }
    }

    #[test]
    fn a_symbol_beyond_its_limits_is_refused_with_the_value() {
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
