//! A time in a query: RFC 3339, or a date, which means the start of that UTC day.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult, Type};
use std::borrow::Cow;

/// Characters of a wrong time that an error repeats.
const SHOWN_CHARS_MAX: usize = 60;

/// The time of a query parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueryTime(pub(crate) DateTime<Utc>);

impl QueryTime {
    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse() {
            return Ok(Self(time));
        }
        if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Ok(Self(day.and_time(NaiveTime::MIN).and_utc()));
        }

        let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
        let is_unescaped =
            text.contains(' ') && DateTime::parse_from_rfc3339(&text.replacen(' ', "+", 1)).is_ok();
        Err(if is_unescaped {
            format!(
                "has a space where a + was meant: write + as %2B in a query (given: \"{shown}\")"
            )
        } else {
            format!(
                "must be an RFC 3339 time such as 2026-01-31T12:00:00Z, or a date such as 2026-01-31 (given: \"{shown}\")"
            )
        })
    }
}

impl Type for QueryTime {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "TimeOrDate".into()
    }

    /// Refers to one schema, so that generators make one type instead of one for each parameter.
    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(Self::name().into_owned())
    }

    fn register(registry: &mut Registry) {
        let inline = |schema| MetaSchemaRef::Inline(Box::new(schema));
        let format = |format| inline(MetaSchema::new_with_format("string", format));
        registry.create_schema::<Self, _>(Self::name().into_owned(), |_| MetaSchema {
            description: Some(
                "An RFC 3339 time, or a date, which means the start of that UTC day.",
            ),
            any_of: vec![format("date-time"), format("date")],
            ..MetaSchema::ANY
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromParameter for QueryTime {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Self::parse(value).map_err(ParseError::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_start_of_its_day() {
        let day = QueryTime::parse("2026-11-30").expect("a date");
        let time = QueryTime::parse("2026-11-30T01:00:00+01:00").expect("a time");

        assert_eq!(day.0.to_rfc3339(), "2026-11-30T00:00:00+00:00");
        assert_eq!(day, time);
    }

    #[test]
    fn an_error_explains_a_plus_that_was_not_escaped() {
        let space = QueryTime::parse("2026-11-30T01:00:00 01:00").expect_err("no time");
        let other = QueryTime::parse("30.11.2026").expect_err("no time");

        assert!(space.contains("%2B"), "{space}");
        assert!(
            other.contains("30.11.2026") && !other.contains("%2B"),
            "{other}"
        );
    }
}
