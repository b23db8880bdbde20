//! Which letters are meant.
//!
//! Owns: the filter of lists, bulk replay and bulk discard. Must not know: pages of REST.

use crate::error::{Error, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, QueryBuilder};
use uuid::Uuid;

/// Which letters are meant; what is none does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// `open`, `replayed` or `discarded`.
    pub status: Option<String>,
    /// `malformed`, `unresolved` or `rejected`.
    pub class: Option<String>,
    /// Stable code.
    pub code: Option<String>,
    /// Whom they concern.
    pub user_id: Option<Uuid>,
    /// Which trading.
    pub trading_id: Option<Uuid>,
    /// The stream they came by.
    pub stream: Option<String>,
    /// The lane there.
    pub lane: Option<i32>,
    /// Put aside at this moment or later.
    pub from: Option<DateTime<Utc>>,
    /// Put aside before this moment.
    pub until: Option<DateTime<Utc>>,
}

impl Filter {
    /// Adds ` WHERE ...` to a query over `dead_letters`.
    pub fn push_to(&self, query: &mut QueryBuilder<sqlx::Postgres>) {
        query.push(" WHERE true");
        for (column, value) in [
            ("status", &self.status),
            ("class", &self.class),
            ("code", &self.code),
            ("stream", &self.stream),
        ] {
            if let Some(value) = value {
                query
                    .push(format_args!(" AND {column} = "))
                    .push_bind(value.clone());
            }
        }
        for (column, value) in [("user_id", self.user_id), ("trading_id", self.trading_id)] {
            if let Some(value) = value {
                query
                    .push(format_args!(" AND {column} = "))
                    .push_bind(value);
            }
        }
        if let Some(lane) = self.lane {
            query.push(" AND lane = ").push_bind(lane);
        }
        if let Some(from) = self.from {
            query.push(" AND created_at >= ").push_bind(from);
        }
        if let Some(until) = self.until {
            query.push(" AND created_at < ").push_bind(until);
        }
    }
}

/// Place of a letter in stream order.
pub(super) type Place = (String, i64, i64, Uuid);

/// The open ones of the letters `filter` selects, in stream order behind `after`, at most `limit`.
pub(super) async fn open_ids(
    connection: &mut PgConnection,
    filter: &Filter,
    after: Option<&Place>,
    limit: u32,
) -> Result<Vec<(Uuid, Place)>> {
    let mut query =
        QueryBuilder::new("SELECT stream, stream_created_at, stream_seq, id FROM dead_letters");
    Filter {
        status: Some("open".to_owned()),
        ..filter.clone()
    }
    .push_to(&mut query);
    if let Some((stream, created, seq, id)) = after {
        query.push(" AND (stream, stream_created_at, stream_seq, id) > (");
        query
            .push_bind(stream.clone())
            .push(", ")
            .push_bind(*created)
            .push(", ");
        query.push_bind(*seq).push(", ").push_bind(*id).push(")");
    }
    query
        .push(" ORDER BY stream, stream_created_at, stream_seq, id LIMIT ")
        .push_bind(i64::from(limit));
    let places: Vec<Place> = query.build_query_as().fetch_all(connection).await?;
    Ok(places.into_iter().map(|place| (place.3, place)).collect())
}

/// The place of the letter `id`, whatever has become of it.
pub(super) async fn place_of(
    connection: &mut PgConnection,
    id: Option<Uuid>,
) -> Result<Option<Place>> {
    let Some(id) = id else { return Ok(None) };
    let place = sqlx::query_as(
        "SELECT stream, stream_created_at, stream_seq, id FROM dead_letters WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
    place
        .map(Some)
        .ok_or_else(|| Error::invalid("cursor", "must be the next_cursor of an earlier answer"))
}

/// How many open letters `filter` selects.
pub async fn count_open(connection: &mut PgConnection, filter: &Filter) -> Result<u64> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM dead_letters");
    Filter {
        status: Some("open".to_owned()),
        ..filter.clone()
    }
    .push_to(&mut query);
    let count: i64 = query.build_query_scalar().fetch_one(connection).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}
