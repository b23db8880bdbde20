//! Pages of long lists, newest first, stable while new rows come in.
//!
//! Owns: limit, cursor and offset, and the conditions they mean. Must not know: what the rows are.

use super::filter::is_storable;
use crate::entities::Entities;
use crate::history::Histories;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::Object;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use serde::Serialize;
use tiris_domain::ids::time_of;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Rows of a page unless told otherwise.
const LIMIT_DEFAULT: u64 = 100;
/// Rows of a page at most.
pub(crate) const LIMIT_MAX: u64 = 1_000;
/// Rows that may be skipped; every one of them is read. A cursor has no such limit.
pub(crate) const OFFSET_MAX: u64 = 100_000;
/// How far back a page of a history is looked for at first. Planning costs as much as there are partitions, and most pages
/// are full before the third month.
const NEAR: TimeDelta = TimeDelta::days(40);
/// Bytes of a cursor: microseconds and id.
const CURSOR_BYTES: usize = 24;

/// The place after a row in the order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
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

/// Which page is asked for.
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
                return Err(Error::InvalidRequest(
                    "cursor and offset exclude each other".to_owned(),
                ));
            }
            (Some(cursor), None) => Start::After(Cursor::decode(cursor).ok_or_else(|| {
                Error::invalid("cursor", "must be the next_cursor of an earlier page")
            })?),
            (None, Some(offset)) if offset > OFFSET_MAX => {
                return Err(Error::invalid(
                    "offset",
                    format!("must be at most {OFFSET_MAX}: go on with cursor"),
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

    /// Reads a page of a history like [`Self::read`], where it lies far enough behind from a copy of the database; `trading`
    /// gives a row's own. The last parts are looked through first, and all where that is no full page.
    pub(crate) async fn read_history<E, M>(
        &self,
        histories: &Histories,
        rows: Select<E>,
        columns: (E::Column, E::Column),
        key: fn(&M) -> (DateTime<Utc>, Uuid),
        trading: fn(&M) -> Uuid,
    ) -> Result<(Vec<M>, Pagination)>
    where
        E: EntityTrait<Model = M>,
        M: FromQueryResult + Sized + Send + Sync,
    {
        let replica = match self.start {
            // A total counts what is new, too.
            Start::After(cursor) if !self.include_total => {
                histories.replica(cursor.timestamp).await
            }
            Start::After(_) | Start::Offset(_) | Start::First => None,
        };

        let until = match self.start {
            // A total counts all rows.
            _ if self.include_total => None,
            Start::First => Some(Utc::now()),
            Start::After(cursor) => Some(cursor.timestamp),
            Start::Offset(_) => None,
        };

        let near = until.and_then(|until| until.checked_sub_signed(NEAR));
        let near = near.map(|near| rows.clone().filter(columns.0.gte(near)));
        let last_parts_first = async |db: &Entities| {
            if let Some(near) = near.clone() {
                let page = self.read(db, near, columns, key).await?;
                if page.1.has_more {
                    return Ok(page);
                }
            }
            self.read(db, rows.clone(), columns, key).await
        };

        if let Some(replica) = replica
            && let Some(page) = replica.ask(last_parts_first(replica.db())).await
            && histories
                .are_living(page.0.iter().map(trading).collect())
                .await?
        {
            return Ok(page);
        }
        last_parts_first(histories.lists()).await
    }

    /// Reads the page of `rows`, ordered by the columns of timestamp and id; `key` gives both of a row.
    pub(crate) async fn read<E, M>(
        &self,
        db: &Entities,
        rows: Select<E>,
        columns: (E::Column, E::Column),
        key: fn(&M) -> (DateTime<Utc>, Uuid),
    ) -> Result<(Vec<M>, Pagination)>
    where
        E: EntityTrait<Model = M>,
        M: FromQueryResult + Sized + Send + Sync,
    {
        let (timestamp, id) = columns;
        let total = if self.include_total {
            Some(rows.clone().count(db).await?)
        } else {
            None
        };
        let mut page = rows
            .order_by_desc(timestamp)
            .order_by_desc(id)
            .limit(self.limit + 1);

        match self.start {
            Start::First => {}
            Start::Offset(offset) => page = page.offset(offset),
            Start::After(cursor) => {
                let place = Expr::tuple([Expr::value(cursor.timestamp), Expr::value(cursor.id)]);
                let here = Expr::tuple([
                    Expr::col(timestamp.as_column_ref()),
                    Expr::col(id.as_column_ref()),
                ]);
                // The first condition alone lets the planner leave out partitions.
                page = page
                    .filter(timestamp.lte(cursor.timestamp))
                    .filter(here.lt(place));
            }
        }

        let mut found = page.all(db).await?;
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = found.len() > wanted;

        found.truncate(wanted);

        let last = found.last().filter(|_| has_more).map(key);
        let next_cursor = last.map(|(timestamp, id)| Cursor { timestamp, id }.encode());
        let offset = match self.start {
            Start::Offset(offset) => Some(offset),
            Start::After(_) | Start::First => None,
        };

        Ok((
            found,
            Pagination {
                limit: self.limit,
                has_more,
                next_cursor,
                offset,
                total,
            },
        ))
    }
}

/// Where a page stands in its list.
#[derive(Object, Serialize)]
pub(crate) struct Pagination {
    /// Rows asked for
    limit: u64,
    /// Whether there are older rows
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

/// Reads the row of a history with this id: the time in the id says in which partition it is.
pub(crate) async fn by_id<E, M>(
    db: &Entities,
    rows: Select<E>,
    columns: (E::Column, E::Column),
    id: Uuid,
) -> Result<Option<M>>
where
    E: EntityTrait<Model = M>,
    M: FromQueryResult + Sized + Send + Sync,
{
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
        fn a_cursor_survives_its_text(micros in -62_000_000_000_000_000i64..253_000_000_000_000_000, id: u128) {
            let cursor = Cursor { timestamp: DateTime::from_timestamp_micros(micros).expect("in range"), id: Uuid::from_u128(id) };
            prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }

        #[test]
        fn no_text_makes_the_decoder_panic(text in ".{0,50}") {
            let _cursor = Cursor::decode(&text);
        }
    }

    #[test]
    fn limits_are_named() {
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
