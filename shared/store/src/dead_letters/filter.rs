//! Selects dead letters for lists, bulk replay and bulk discard.

use crate::error::{Error, Result};
use crate::lanes::columns::convert;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Encode, PgConnection, Postgres, QueryBuilder, Type};
use tiris_domain::states::{DeadLetterClass, DeadLetterStatus, State};
use uuid::Uuid;

/// A selection of dead letters; a field that is `None` selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// The only user whose dead letters may be selected, beside the other conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Uuid>,
    /// Whether a decision is pending.
    pub status: Option<DeadLetterStatus>,
    /// The class, which says whether they are retried.
    pub class: Option<DeadLetterClass>,
    /// Stable code of the cause.
    pub code: Option<String>,
    /// User whose bot published the event.
    pub user_id: Option<Uuid>,
    /// Trading of the event.
    pub trading_id: Option<Uuid>,
    /// Stream that delivered the message; an unknown name selects nothing.
    pub stream: Option<String>,
    /// Lane of the stream.
    pub lane: Option<i32>,
    /// Created at this moment or later.
    pub from: Option<DateTime<Utc>>,
    /// Created before this moment.
    pub until: Option<DateTime<Utc>>,
}

impl Filter {
    /// Adds ` AND ...` to the conditions of a query over `dead_letters`.
    pub(super) fn push_to(&self, query: &mut QueryBuilder<Postgres>) {
        and(query, "status =", self.status.map(State::as_str));
        and(query, "class =", self.class.map(State::as_str));
        and(query, "code =", self.code.clone());
        and(query, "stream =", self.stream.clone());
        and(query, "user_id =", self.owner);
        and(query, "user_id =", self.user_id);
        and(query, "trading_id =", self.trading_id);
        and(query, "lane =", self.lane);
        and(query, "created_at >=", self.from);
        and(query, "created_at <", self.until);
    }

    /// Restricts the selection to open dead letters.
    fn open(&self) -> Self {
        Self {
            status: Some(DeadLetterStatus::Open),
            ..self.clone()
        }
    }
}

fn and<T>(query: &mut QueryBuilder<Postgres>, condition: &str, value: Option<T>)
where
    T: for<'q> Encode<'q, Postgres> + Type<Postgres>,
{
    if let Some(value) = value {
        query
            .push(format_args!(" AND {condition} "))
            .push_bind(value);
    }
}

/// The place of a dead letter in stream order.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Place {
    stream: String,
    stream_created_at: i64,
    stream_seq: i64,
    pub(super) id: Uuid,
}

/// Open dead letters in stream order.
pub(super) struct Page {
    pub(super) ids: Vec<Uuid>,
    /// The last of them, when there may be more.
    pub(super) last: Option<Place>,
}

/// Returns the open dead letters `filter` selects, in stream order after `after`, at most `limit`.
pub(super) async fn open_page(
    connection: &mut PgConnection,
    filter: &Filter,
    after: Option<&Place>,
    limit: u32,
) -> Result<Page> {
    let mut query = QueryBuilder::new(
        "SELECT stream, stream_created_at, stream_seq, id FROM dead_letters WHERE true",
    );
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

    let places: Vec<Place> = query.build_query_as().fetch_all(connection).await?;
    let is_full = u32::try_from(places.len()) == Ok(limit);
    Ok(Page {
        ids: places.iter().map(|place| place.id).collect(),
        last: places.into_iter().next_back().filter(|_| is_full),
    })
}

/// Returns the place of a dead letter of any status, to continue after it.
///
/// # Errors
/// [`Error::InvalidValue`] when it does not exist, or belongs to another user than the owner of `filter`.
pub(super) async fn place_of(
    connection: &mut PgConnection,
    filter: &Filter,
    id: Option<Uuid>,
) -> Result<Option<Place>> {
    let Some(id) = id else { return Ok(None) };

    let place = sqlx::query_as(
        "SELECT stream, stream_created_at, stream_seq, id FROM dead_letters \
         WHERE id = $1 AND ($2::uuid IS NULL OR user_id = $2)",
    )
    .bind(id)
    .bind(filter.owner)
    .fetch_optional(connection)
    .await?;
    place
        .map(Some)
        .ok_or_else(|| Error::invalid("cursor", "must be the `next_cursor` of an earlier response"))
}

/// Counts the open dead letters `filter` selects.
pub async fn count_open(connection: &mut PgConnection, filter: &Filter) -> Result<u64> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM dead_letters WHERE true");
    filter.open().push_to(&mut query);
    let count: i64 = query.build_query_scalar().fetch_one(connection).await?;
    convert(count)
}
