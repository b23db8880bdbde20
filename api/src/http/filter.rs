//! Conditions that lists share.

use chrono::{DateTime, Datelike, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition};
use serde_json::Value;
use tiris_domain::json;
use tiris_domain::value::{Info, Value as _};
use tiris_store::error::{Error, Result};

/// Longest text a list can be filtered by, in characters.
const TEXT_LENGTH_MAX: usize = 128;
/// Years the database is asked about; the clock of a caller may say anything.
const YEARS: std::ops::RangeInclusive<i32> = 0..=9_999;

/// Rows whose free JSON contains the object in `text`; all rows when there is none.
pub(crate) fn containing<C: ColumnTrait>(column: C, text: Option<&str>) -> Result<Condition> {
    // Here only: elsewhere the trait would give strings another `contains`.
    use sea_orm::sea_query::extension::postgres::PgExpr;
    let Some(text) = text else {
        return Ok(Condition::all());
    };
    let wanted = Value::Object(info(text)?.0);
    Ok(Condition::all().add(Expr::col(column.as_column_ref()).contains(Expr::value(wanted))))
}

/// The free JSON of the parameter `info`.
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

/// Rows where `column` is the wanted value; all rows when none is wanted.
pub(crate) fn equal<C: ColumnTrait, V: Into<sea_orm::Value>>(
    column: C,
    wanted: Option<V>,
) -> Condition {
    wanted.map_or_else(Condition::all, |wanted| {
        Condition::all().add(column.eq(wanted))
    })
}

/// Rows where `column` is the wanted text, the parameter `name`; all rows when none is wanted.
pub(crate) fn equal_text<C: ColumnTrait>(
    column: C,
    name: &'static str,
    wanted: Option<String>,
) -> Result<Condition> {
    if let Some(text) = &wanted {
        if text.chars().count() > TEXT_LENGTH_MAX {
            return Err(Error::invalid(
                name,
                format!("may have at most {TEXT_LENGTH_MAX} characters"),
            ));
        }
        // No text column can hold it, and the database refuses to compare with it.
        if text.contains('\0') {
            return Err(Error::invalid(name, "must not contain U+0000"));
        }
    }

    Ok(equal(column, wanted))
}

/// Rows from `start` (inclusive) until `end` (exclusive); each is the name of a parameter and its value.
pub(crate) fn range<C: ColumnTrait>(
    column: C,
    start: (&'static str, Option<DateTime<Utc>>),
    end: (&'static str, Option<DateTime<Utc>>),
) -> Result<Condition> {
    let mut condition = Condition::all();
    if let Some(time) = in_years(start)? {
        condition = condition.add(column.gte(time));
    }
    if let Some(time) = in_years(end)? {
        condition = condition.add(column.lt(time));
    }
    Ok(condition)
}

fn in_years((name, time): (&'static str, Option<DateTime<Utc>>)) -> Result<Option<DateTime<Utc>>> {
    match time {
        Some(time) if !is_storable(time) => {
            Err(Error::invalid(name, "must lie in the years 0 to 9999"))
        }
        time => Ok(time),
    }
}

/// Whether the database can hold a time.
pub(crate) fn is_storable(time: DateTime<Utc>) -> bool {
    YEARS.contains(&time.year())
}
