//! Time ranges of histories and equity curves: clocks, intervals and their limits.

use crate::http::filter::{is_storable, moment};
use crate::http::query_time::QueryTime;
use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::Enum;
use serde::Serialize;
use tiris_domain::performance;
use tiris_store::error::{Error, Result};
use tiris_store::point_in_time::Clock;

/// Intervals of a history at most: a year of hours, or 27 years of days.
const PIECES_MAX: i32 = 10_000;
/// Intervals of a history without a start: a month of hours, or two years of days.
const PIECES_DEFAULT: i32 = 720;

/// Length of an interval.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum Interval {
    /// One hour
    Hour,
    /// One day, UTC
    Day,
}

impl From<Interval> for performance::Interval {
    fn from(interval: Interval) -> Self {
        match interval {
            Interval::Hour => Self::Hour,
            Interval::Day => Self::Day,
        }
    }
}

/// The clock that a time range refers to.
#[derive(Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum Time {
    /// When the service booked it: `timestamp`
    Recorded,
    /// When it happened according to the caller: `event_time`
    Event,
}

impl From<Time> for Clock {
    fn from(time: Time) -> Self {
        match time {
            Time::Recorded => Self::Recorded,
            Time::Event => Self::Event,
        }
    }
}

/// Start and end of a range, `None` where it is open.
type Ends = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// Checks the start and the exclusive end of a range.
pub(super) fn ends(from: Option<QueryTime>, to: Option<QueryTime>) -> Result<Ends> {
    let from = moment("from", from)?;
    let to = moment("to", to)?;

    match (from, to) {
        (Some(from), Some(to)) if from >= to => Err(Error::invalid(
            "from",
            format!("must be before to (given: {from:?} and {to:?})"),
        )),
        ends => Ok(ends),
    }
}

/// Widens a range to whole intervals; without an end it ends with the interval of `latest`.
pub(super) fn pieces(
    from: Option<QueryTime>,
    to: Option<QueryTime>,
    interval: performance::Interval,
    latest: DateTime<Utc>,
) -> Result<(DateTime<Utc>, DateTime<Utc>)> {
    let (from, to) = ends(from, to)?;
    let last = to.map_or(latest, |to| to - TimeDelta::nanoseconds(1));
    let to = interval.start(last) + interval.length();
    let from = from.map_or(to - interval.length() * PIECES_DEFAULT, |from| {
        interval.start(from)
    });

    if from >= to {
        return Err(Error::invalid(
            "from",
            format!("must be before to (given: {from:?} and {to:?})"),
        ));
    }

    if !is_storable(from) || !is_storable(to) {
        return Err(Error::invalid(
            "to",
            "must leave the range within the years 1 to 9999",
        ));
    }

    if to - from > interval.length() * PIECES_MAX {
        let unit = interval.unit();
        return Err(Error::invalid(
            "from",
            format!("may be at most {PIECES_MAX} intervals of one {unit} before to"),
        ));
    }

    Ok((from, to))
}
