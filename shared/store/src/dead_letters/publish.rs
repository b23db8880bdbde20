//! Which letters the dead letter stream has not acknowledged yet.
//!
//! Owns: the marks. A letter is published at least once: a worker that is cut off between publishing and marking
//! publishes again. Must not know: NATS.

use super::read::{COLUMNS, Letter};
use crate::error::Result;
use crate::lanes::columns;
use sqlx::{PgConnection, QueryBuilder};
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_domain::states::DeadLetterClass;
use uuid::Uuid;

/// The oldest unpublished letters of these lanes, and of lanes that are no more, at most `limit`.
pub async fn unpublished(
    connection: &mut PgConnection,
    keys: &[LaneKey],
    limit: u32,
) -> Result<Vec<Letter>> {
    let (streams, lanes) = columns::of_keys(keys);
    let mut query = QueryBuilder::new(COLUMNS);
    query
        .push(" d WHERE published_at IS NULL AND stream = ANY(")
        .push_bind(columns::known_streams())
        .push(") AND ((stream, lane) IN (SELECT k.stream, k.lane FROM UNNEST(")
        .push_bind(streams)
        .push("::text[], ")
        .push_bind(lanes)
        .push(
            "::int[]) AS k (stream, lane)) OR NOT EXISTS (SELECT FROM ingest_lanes l \
             WHERE l.stream = d.stream AND l.lane = d.lane)) ORDER BY created_at, id LIMIT ",
        )
        .push_bind(i64::from(limit));

    Ok(query.build_query_as().fetch_all(connection).await?)
}

/// Marks letters the dead letter stream has acknowledged.
pub async fn mark_published(connection: &mut PgConnection, ids: &[Uuid]) -> Result<()> {
    sqlx::query("UPDATE dead_letters SET published_at = clock_timestamp() WHERE id = ANY($1)")
        .bind(ids)
        .execute(connection)
        .await?;
    Ok(())
}

/// Open letters of a stream and class.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct ClassCount {
    /// The stream.
    #[sqlx(try_from = "String")]
    pub stream: EventStream,
    /// The class.
    #[sqlx(try_from = "String")]
    pub class: DeadLetterClass,
    /// How many there are.
    pub count: i64,
}

/// How many open letters these lanes have, by stream and class.
pub async fn count_by_class(
    connection: &mut PgConnection,
    keys: &[LaneKey],
) -> Result<Vec<ClassCount>> {
    let (streams, lanes) = columns::of_keys(keys);
    let counts = sqlx::query_as(
        "SELECT stream, class, count(*) AS count FROM dead_letters WHERE status = 'open' \
         AND (stream, lane) IN (SELECT k.stream, k.lane FROM UNNEST($1::text[], $2::int[]) AS k (stream, lane)) \
         GROUP BY stream, class",
    )
    .bind(streams)
    .bind(lanes)
    .fetch_all(connection)
    .await?;
    Ok(counts)
}
