//! Filter conditions that lists share.

use super::query_time::QueryTime;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition};
use serde_json::Value;
use tiris_domain::json;
use tiris_domain::value::{Info, Moment, Value as _};
use tiris_store::error::{Error, Result};

/// Longest text of a filter, in characters.
const TEXT_LENGTH_MAX: usize = 128;

/// Selects rows whose free JSON contains the object in `text`, all rows without it.
pub(crate) fn containing<C: ColumnTrait>(column: C, text: Option<&str>) -> Result<Condition> {
    // Imported only here, because the trait shadows `contains` of strings.
    use sea_orm::sea_query::extension::postgres::PgExpr;
    let Some(text) = text else {
        return Ok(Condition::all());
    };
    let wanted = Value::Object(info(text)?.0);
    Ok(Condition::all().add(Expr::col(column.as_column_ref()).contains(Expr::value(wanted))))
}

/// Parses the parameter `info`.
fn info(text: &str) -> Result<Info> {
    json::check(text.as_bytes())
        .map_err(|error| Error::InvalidInfo(format!("the parameter info: {error}")))?;
    let value = serde_json::from_str(text).map_err(|error| {
        Error::invalid(
            "info",
            format!("must be a JSON object, URL-encoded: {error}"),
        )
    })?;
    Info::from_json(value).map_err(|invalid| Error::InvalidInfo(format!("info {invalid}")))
}

/// Selects rows where `column` has the wanted value, all rows without it.
pub(crate) fn equal<C: ColumnTrait, V: Into<sea_orm::Value>>(
    column: C,
    wanted: Option<V>,
) -> Condition {
    Condition::all().add_option(wanted.map(|wanted| column.eq(wanted)))
}

/// Selects rows where `column` has the wanted text, given by the parameter `name`; all rows without it.
pub(crate) fn equal_text<C: ColumnTrait>(
    column: C,
    name: &'static str,
    wanted: Option<String>,
) -> Result<Condition> {
    if let Some(text) = &wanted {
        let length = text.chars().count();
        if length > TEXT_LENGTH_MAX {
            let why = format!("may have at most {TEXT_LENGTH_MAX} characters (given: {length})");
            return Err(Error::invalid(name, why));
        }
        // PostgreSQL accepts U+0000 in no text, not even to compare with.
        if text.contains('\0') {
            return Err(Error::invalid(name, "must not contain U+0000"));
        }
    }

    Ok(equal(column, wanted))
}

/// Selects rows from `start` (inclusive) until `end` (exclusive), each the name of a parameter and its value.
pub(crate) fn range<C: ColumnTrait>(
    column: C,
    start: (&'static str, Option<QueryTime>),
    end: (&'static str, Option<QueryTime>),
) -> Result<Condition> {
    let from = moment(start.0, start.1)?;
    let until = moment(end.0, end.1)?;
    if let (Some(from), Some(until)) = (from, until)
        && from > until
    {
        let why = format!(
            "must not be after {} (given: {from:?} and {until:?})",
            end.0
        );
        return Err(Error::invalid(start.0, why));
    }

    let from = from.map(|time| column.gte(time));
    let until = until.map(|time| column.lt(time));
    Ok(Condition::all().add_option(from).add_option(until))
}

/// Checks that the time of the parameter `name` lies in the years 1 to 9999.
pub(crate) fn moment(name: &'static str, time: Option<QueryTime>) -> Result<Option<DateTime<Utc>>> {
    match time {
        Some(QueryTime(time)) if !is_storable(time) => {
            Err(Error::invalid(name, "must lie in the years 1 to 9999"))
        }
        time => Ok(time.map(|time| time.0)),
    }
}

/// Returns whether a time lies in the years of a [`Moment`].
pub(crate) fn is_storable(time: DateTime<Utc>) -> bool {
    Moment::new(time).is_some()
}
