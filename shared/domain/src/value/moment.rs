//! A time with the precision of the database.

use super::invalid::Invalid;
use super::newtype::deserialize_by_value;
use super::schema::{Schema, SchemaKind, Value};
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde_json::Value as Json;
use std::ops::RangeInclusive;

/// The years a time may lie in, in UTC, because a caller's clock may be wrong. RFC 3339 cannot express later ones.
const YEARS: RangeInclusive<i32> = 1..=9_999;

/// A time in the years 1 to 9999 of UTC, to the microsecond. A leap second becomes the next second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Moment(DateTime<Utc>);

impl Moment {
    /// Truncates `time` to microseconds; `None` when its year is out of range.
    #[must_use]
    pub fn new(time: DateTime<Utc>) -> Option<Self> {
        DateTime::from_timestamp_micros(time.timestamp_micros())
            .filter(|time| YEARS.contains(&time.year()))
            .map(Self)
    }

    /// Returns midnight UTC, `days` days after 1970-01-01; a `u16` reaches the year 2149.
    #[must_use]
    pub fn midnight(days: u16) -> Self {
        Self(DateTime::UNIX_EPOCH + TimeDelta::days(days.into()))
    }

    /// Returns the time.
    #[must_use]
    pub const fn time(self) -> DateTime<Utc> {
        self.0
    }

    /// Parses an RFC 3339 time to its last digit, with the limits of a [`Moment`].
    pub(crate) fn exact(value: &Json) -> Result<DateTime<Utc>, Invalid> {
        let text = value.as_str().unwrap_or_default();
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| {
            Invalid::given(
                "must be an RFC 3339 time such as 2026-01-31T12:00:00Z",
                value,
            )
        })?;

        let time = time.to_utc();
        Self::new(time).ok_or_else(|| Self::out_of_range(value))?;
        Ok(time)
    }

    fn out_of_range(value: &Json) -> Invalid {
        let first = YEARS.start();
        let last = YEARS.end();

        Invalid::given(
            format!("must lie in the years {first} to {last} of UTC"),
            value,
        )
    }
}

impl From<Moment> for DateTime<Utc> {
    fn from(moment: Moment) -> Self {
        moment.0
    }
}

impl Value for Moment {
    fn schema() -> Schema {
        Schema {
            format: Some("date-time"),
            ..Schema::new("string_date-time", SchemaKind::String)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        let time = Self::exact(&value)?;

        Self::new(time).ok_or_else(|| Self::out_of_range(&value))
    }

    fn to_json(&self) -> Json {
        Json::from(self.0.to_rfc3339())
    }
}

deserialize_by_value!(Moment);

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        let moment = Moment::from_json(text.into()).ok()?;

        Some(moment.time().to_rfc3339())
    }

    #[test]
    fn truncates_a_time_to_microseconds() {
        let cut = parsed("2026-01-31T13:00:00.1234569+01:00");

        assert_eq!(cut.as_deref(), Some("2026-01-31T12:00:00.123456+00:00"));
    }

    #[test]
    fn a_leap_second_becomes_the_next_second() {
        let second = parsed("2016-12-31T23:59:60.5Z");

        assert_eq!(second.as_deref(), Some("2017-01-01T00:00:00.500+00:00"));
    }

    #[test]
    fn accepts_the_first_and_the_last_year() {
        assert!(parsed("0001-01-01T00:00:00Z").is_some());
        assert!(parsed("0000-12-31T12:00:00-12:00").is_some());
        assert!(parsed("9999-12-31T23:59:59.999999999Z").is_some());
    }

    #[test]
    fn rejects_a_year_out_of_range() {
        for text in [
            "0000-12-31T23:59:59.999999999Z",
            "0000-01-01T00:00:00+12:00",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-12:00",
            "9999-12-31T23:59:60Z",
        ] {
            let invalid = Moment::from_json(text.into()).expect_err(text);

            assert_eq!(
                invalid.to_string(),
                format!("must lie in the years 1 to 9999 of UTC (given: \"{text}\")")
            );
        }
    }

    #[test]
    fn rejects_another_format_with_an_example() {
        let invalid = Moment::from_json("2026-01-31 12:00".into()).expect_err("no RFC 3339");

        assert_eq!(
            invalid.to_string(),
            "must be an RFC 3339 time such as 2026-01-31T12:00:00Z (given: \"2026-01-31 12:00\")"
        );
    }
}
