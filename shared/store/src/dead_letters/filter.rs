//! Which letters are meant.
//!
//! Owns: the filter of lists, bulk replay and bulk discard. Must not know: pages of REST.

use crate::error::{Error, Result};
use crate::lanes::columns::convert;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, QueryBuilder};
use tiris_domain::states::{DeadLetterClass, DeadLetterStatus, State};
use uuid::Uuid;

/// Which letters are meant; what is none does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// Whether they still wait for a decision.
    pub status: Option<DeadLetterStatus>,
    /// What can still become of them.
    pub class: Option<DeadLetterClass>,
    /// Stable code.
    pub code: Option<String>,
    /// Whom they concern.
    pub user_id: Option<Uuid>,
    /// Which trading.
    pub trading_id: Option<Uuid>,
    /// The stream they came by, by any name: one that is not ours selects nothing.
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
            ("status", self.status.map(State::as_str)),
            ("class", self.class.map(State::as_str)),
            ("code", self.code.as_deref()),
            ("stream", self.stream.as_deref()),
        ] {
            if let Some(value) = value {
                query
                    .push(format_args!(" AND {column} = "))
                    .push_bind(value.to_owned());
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

    /// The open ones of the letters it selects.
    fn open(&self) -> Self {
        Self {
            status: Some(DeadLetterStatus::Open),
            ..self.clone()
        }
    }
}

/// Place of a letter in stream order.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Place {
    stream: String,
    stream_created_at: i64,
    stream_seq: i64,
    pub(super) id: Uuid,
}

/// The open ones of the letters `filter` selects, in stream order behind `after`, at most `limit`.
pub(super) async fn open_places(
    connection: &mut PgConnection,
    filter: &Filter,
    after: Option<&Place>,
    limit: u32,
) -> Result<Vec<Place>> {
    let mut query =
        QueryBuilder::new("SELECT stream, stream_created_at, stream_seq, id FROM dead_letters");
    filter.open().push_to(&mut query);
    if let Some(place) = after {
        query.push(" AND (stream, stream_created_at, stream_seq, id) > (");
        let mut values = query.separated(", ");
        values
            .push_bind(place.stream.clone())
            .push_bind(place.stream_created_at)
            .push_bind(place.stream_seq)
            .push_bind(place.id);
        query.push(")");
    }

    query
        .push(" ORDER BY stream, stream_created_at, stream_seq, id LIMIT ")
        .push_bind(i64::from(limit));
    Ok(query.build_query_as().fetch_all(connection).await?)
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
    filter.open().push_to(&mut query);
    let count: i64 = query.build_query_scalar().fetch_one(connection).await?;

    convert(count)
}
