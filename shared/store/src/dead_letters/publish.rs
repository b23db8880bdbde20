//! Which letters the dead letter stream has not acknowledged yet.
//!
//! Owns: the marks. A letter is published at least once: whoever is cut off between publishing and marking publishes
//! again. Must not know: NATS.

use super::read::{COLUMNS, Letter};
use crate::error::Result;
use sqlx::{PgConnection, QueryBuilder};
use uuid::Uuid;

/// The oldest unpublished letters of these lanes, and of lanes that are no more, at most `limit`.
pub async fn unpublished(
    connection: &mut PgConnection,
    lanes: &[(&str, i32)],
    limit: u32,
) -> Result<Vec<Letter>> {
    let (streams, numbers): (Vec<&str>, Vec<i32>) = lanes.iter().copied().unzip();
    let mut query = QueryBuilder::new(COLUMNS);
    query.push(" d WHERE published_at IS NULL AND ((stream, lane) IN (SELECT * FROM UNNEST(");
    query
        .push_bind(streams)
        .push("::text[], ")
        .push_bind(numbers)
        .push("::int[])) OR NOT EXISTS (SELECT FROM ");
    query.push(
        "ingest_lanes l WHERE l.stream = d.stream AND l.lane = d.lane)) ORDER BY created_at, id LIMIT ",
    );
    query.push_bind(i64::from(limit));
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

/// How many open letters these lanes have, by stream and class.
pub async fn count_by_class(
    connection: &mut PgConnection,
    lanes: &[(&str, i32)],
) -> Result<Vec<(String, String, i64)>> {
    let (streams, numbers): (Vec<&str>, Vec<i32>) = lanes.iter().copied().unzip();
    let counts = sqlx::query_as(
        "SELECT stream, class, count(*) FROM dead_letters \
         WHERE status = 'open' AND (stream, lane) IN (SELECT * FROM UNNEST($1::text[], $2::int[])) \
         GROUP BY stream, class",
    )
    .bind(streams)
    .bind(numbers)
    .fetch_all(connection)
    .await?;
    Ok(counts)
}
