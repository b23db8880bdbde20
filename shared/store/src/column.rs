//! Conversions between columns and types of the domain.
//!
//! A value that its column cannot hold is a defect, so every failure is [`Error::Internal`].

use crate::error::{Error, Result};
use tiris_domain::ledger::{Asset, Pair};
use tiris_domain::money::Number;
use tiris_domain::states::State;

/// Returns the state that a column names.
pub fn state<S: State>(name: impl AsRef<str>) -> Result<S> {
    S::parse(name.as_ref()).map_err(|error| Error::Internal(error.into()))
}

/// Returns the asset that a column of symbols names.
pub fn asset(symbol: &str) -> Result<Asset> {
    Asset::from_column(symbol.to_owned())
        .map_err(|why| Error::internal(format!("symbol {symbol:?}: {why}")))
}

/// Returns the pair that a column of pairs names; the column is empty for none.
pub(crate) fn pair(symbol: &str) -> Result<Option<Pair>> {
    let Some((base, quote)) = symbol.split_once('/') else {
        return Ok(None);
    };

    Ok(Some(Pair {
        base: asset(base)?,
        quote: asset(quote)?,
    }))
}

/// Returns a sum of money, which may have more digits than a column of money.
pub(crate) fn number(text: &str) -> Result<Number> {
    text.parse()
        .map_err(|error| Error::internal(format!("a sum of money is {text}: {error}")))
}

/// Returns one value of each row, to bind as an array for `UNNEST`.
pub(crate) fn values<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
