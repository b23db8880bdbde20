//! The names of things in the ledger: assets and orders.

use std::fmt;
use std::str::FromStr;

/// The symbol of an asset: 1 to 20 printable ASCII characters without `/`, upper case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asset(String);

/// Longest symbol, in characters.
const ASSET_LENGTH_MAX: usize = 20;

impl FromStr for Asset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=ASSET_LENGTH_MAX).contains(&text.len());
        if fits
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'/')
        {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(format!(
                "must be 1 to {ASSET_LENGTH_MAX} printable ASCII characters without '/'"
            ))
        }
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Asset {
    /// The symbol.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An order id: 1 to 128 characters. The unnamed hold is `None` wherever an order is optional.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(String);

/// Longest order id, in characters; a longer one would break an index.
pub const ORDER_ID_LENGTH_MAX: usize = 128;

impl FromStr for OrderId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if (1..=ORDER_ID_LENGTH_MAX).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must have 1 to {ORDER_ID_LENGTH_MAX} characters"))
        }
    }
}

impl OrderId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
