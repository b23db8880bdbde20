//! Pages of long lists, newest first, stable while new rows come in: limit, cursor, offset and their conditions.

mod read;

use super::filter::is_storable;
use crate::entities::Entities;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::Object;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde::Serialize;
use tiris_domain::ids::time_of;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Rows of a page by default.
const LIMIT_DEFAULT: u64 = 100;
/// Maximum number of rows of a page.
pub(crate) const LIMIT_MAX: u64 = 1_000;
/// Maximum number of rows that an offset may skip, because each of them is read. A cursor has no such limit.
pub(crate) const OFFSET_MAX: u64 = 100_000;
/// Bytes of a cursor: microseconds and id.
const CURSOR_BYTES: usize = 24;

/// A position in a list, behind the row with this timestamp and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    timestamp: DateTime<Utc>,
    id: Uuid,
}

impl Cursor {
    fn encode(self) -> String {
        let mut bytes = [0; CURSOR_BYTES];
        bytes[..8].copy_from_slice(&self.timestamp.timestamp_micros().to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; CURSOR_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (micros, id) = bytes.split_first_chunk::<8>()?;
        let timestamp = DateTime::from_timestamp_micros(i64::from_be_bytes(*micros))?;
        Some(Self {
            timestamp,
            id: Uuid::from_slice(id).ok()?,
        })
        .filter(|cursor| is_storable(cursor.timestamp))
    }
}

impl From<(DateTime<Utc>, Uuid)> for Cursor {
    fn from((timestamp, id): (DateTime<Utc>, Uuid)) -> Self {
        Self { timestamp, id }
    }
}

/// The requested page of a list.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    limit: u64,
    start: Start,
    include_total: bool,
}

#[derive(Clone, Copy, Debug)]
enum Start {
    After(Cursor),
    Offset(u64),
    First,
}

/// A part of a list, for a page of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    start: Start,
    /// The time from which rows are included.
    since: Option<DateTime<Utc>>,
    limit: u64,
}

impl Part {
    /// Returns the maximum number of rows.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Returns whether rows are skipped by their number.
    pub(crate) fn has_offset(&self) -> bool {
        matches!(self.start, Start::Offset(_))
    }

    /// Selects the part, newest first by these columns.
    pub(crate) fn of<Q, C>(self, rows: Q, (timestamp, id): (C, C)) -> Q
    where
        Q: QueryFilter + QueryOrder + QuerySelect,
        C: ColumnTrait,
    {
        let since = self.since.map(|since| timestamp.gte(since));
        let rows = rows
            .filter(Condition::all().add_option(since))
            .order_by_desc(timestamp)
            .order_by_desc(id)
            .limit(self.limit);

        match self.start {
            Start::First => rows,
            Start::Offset(offset) => rows.offset(offset),
            Start::After(cursor) => {
                let place = Expr::tuple([Expr::value(cursor.timestamp), Expr::value(cursor.id)]);
                let here = Expr::tuple([
                    Expr::col(timestamp.as_column_ref()),
                    Expr::col(id.as_column_ref()),
                ]);
                // Only the first condition lets the planner skip partitions.
                rows.filter(timestamp.lte(cursor.timestamp))
                    .filter(here.lt(place))
            }
        }
    }
}

impl Page {
    /// Checks the parameters of a list.
    pub(crate) fn new(
        limit: Option<u64>,
        cursor: Option<&str>,
        offset: Option<u64>,
        include_total: Option<bool>,
    ) -> Result<Self> {
        let limit = limit.unwrap_or(LIMIT_DEFAULT);

        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Error::invalid(
                "limit",
                format!("must be between 1 and {LIMIT_MAX} (given: {limit})"),
            ));
        }

        let start = match (cursor, offset) {
            (Some(_), Some(_)) => {
                let why = "cursor and offset exclude each other: send one of them".to_owned();
                return Err(Error::InvalidRequest(why));
            }
            (Some(cursor), None) => Start::After(Cursor::decode(cursor).ok_or_else(|| {
                Error::invalid("cursor", "must be the next_cursor of an earlier page")
            })?),
            (None, Some(offset)) if offset > OFFSET_MAX => {
                return Err(Error::invalid(
                    "offset",
                    format!("must be at most {OFFSET_MAX} (given: {offset}): use cursor instead"),
                ));
            }
            (None, Some(offset)) => Start::Offset(offset),
            (None, None) => Start::First,
        };

        Ok(Self {
            limit,
            start,
            include_total: include_total.unwrap_or(false),
        })
    }

    /// Returns a page of a list that is short for most users, all of it unless a limit is given.
    pub(crate) fn of_short_list(limit: Option<u64>, cursor: Option<&str>) -> Result<Self> {
        Self::new(limit.or(Some(LIMIT_MAX)), cursor, None, None)
    }

    /// Returns the maximum number of rows.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Returns the time and id after which the page begins.
    pub(crate) fn after(&self) -> Option<(DateTime<Utc>, Uuid)> {
        match self.start {
            Start::After(cursor) => Some((cursor.timestamp, cursor.id)),
            Start::Offset(_) | Start::First => None,
        }
    }

    /// Cuts rows, one of which may lie beyond the page.
    pub(crate) fn cut<R>(
        &self,
        rows: &mut Vec<R>,
        key: fn(&R) -> (DateTime<Utc>, Uuid),
    ) -> Pagination {
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > wanted;
        rows.truncate(wanted);

        let last = rows.last().filter(|_| has_more).map(key);
        Pagination::new(self.limit, last.map(|last| Cursor::from(last).encode()))
    }
}

/// The position of a page in its list.
#[derive(Object, Serialize)]
pub(crate) struct Pagination {
    /// Maximum number of rows of the page
    limit: u64,
    /// Whether there are older rows. A page ends before `limit` rows when they are large: 4 MiB are the most
    has_more: bool,
    /// The parameter `cursor` of the next page; null on the last one
    #[oai(nullable)]
    pub(crate) next_cursor: Option<String>,
    /// Rows skipped, when `offset` was given
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// Rows in the whole list, when `include_total` was true
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

impl Pagination {
    pub(crate) fn new(limit: u64, next_cursor: Option<String>) -> Self {
        Self {
            limit,
            has_more: next_cursor.is_some(),
            next_cursor,
            offset: None,
            total: None,
        }
    }
}

/// Reads a row of a history by its id, whose time selects the partition.
pub(crate) async fn by_id<E: EntityTrait>(
    db: &Entities,
    rows: Select<E>,
    columns: (E::Column, E::Column),
    id: Uuid,
) -> Result<Option<E::Model>> {
    let Some(from) = time_of(id) else {
        return Ok(None);
    };
    let until = from + TimeDelta::milliseconds(1);
    let (timestamp, column) = columns;

    let row = rows
        .filter(column.eq(id))
        .filter(timestamp.gte(from))
        .filter(timestamp.lt(until))
        .one(db)
        .await?;
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursor_round_trips(micros in -62_000_000_000_000_000i64..253_000_000_000_000_000, id: u128) {
            let cursor = Cursor { timestamp: DateTime::from_timestamp_micros(micros).expect("in range"), id: Uuid::from_u128(id) };
            prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }

        #[test]
        fn decoder_never_panics(text in ".{0,50}") {
            let _cursor = Cursor::decode(&text);
        }
    }

    #[test]
    fn rejects_parameters_beyond_their_limits() {
        for (limit, cursor, offset) in [
            (Some(0), None, None),
            (Some(1_001), None, None),
            (None, Some("?"), None),
            (None, None, Some(100_001)),
        ] {
            assert!(Page::new(limit, cursor, offset, None).is_err());
        }
        assert!(Page::new(Some(1_000), None, Some(100_000), Some(true)).is_ok());
    }
}
