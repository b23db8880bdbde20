//! A range of time, as histories and curves are asked for.
//!
//! Owns: pieces of time, their bounds, and how many there may be. Must not know: what is read.

use crate::http::filter::is_storable;
use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::Enum;
use serde::Serialize;
use tiris_domain::performance;
use tiris_store::error::{Error, Result};
use tiris_store::point_in_time::Clock;

/// Pieces of a history at most: a year of hours, or 27 years of days.
const PIECES_MAX: i32 = 10_000;
/// Pieces of a history whose beginning is not told: a month of hours, or two years of days.
const PIECES_DEFAULT: i32 = 720;

/// How long a piece of a history is.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum Interval {
    /// An hour
    Hour,
    /// A day, UTC
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

/// Which time a range of dates means.
#[derive(Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum Time {
    /// When it was booked: `timestamp`
    Recorded,
    /// When it happened, by the caller: `event_time`
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

/// A moment the database can hold, the parameter `name`.
pub(super) fn moment(
    name: &'static str,
    time: Option<DateTime<Utc>>,
) -> Result<Option<DateTime<Utc>>> {
    match time {
        Some(time) if !is_storable(time) => {
            Err(Error::invalid(name, "must lie in the years 0 to 9999"))
        }
        time => Ok(time),
    }
}

/// The ends of a range, each when it has one.
type Ends = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// Both ends of a range, of which the second is not part.
pub(super) fn ends(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Result<Ends> {
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

/// A range of whole pieces that holds both ends; without an end it ends with the piece of `latest`.
pub(super) fn pieces(
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
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
            "must leave the range within the years 0 to 9999",
        ));
    }

    if to - from > interval.length() * PIECES_MAX {
        let unit = interval.unit();
        return Err(Error::invalid(
            "from",
            format!("may be at most {PIECES_MAX} pieces of one {unit} before to"),
        ));
    }

    Ok((from, to))
}
