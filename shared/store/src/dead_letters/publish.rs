//! Marks dead letters as published. Each is published at least once: a worker that stops between publishing and marking
//! publishes again.

use crate::error::Result;
use crate::lanes::columns;
use sqlx::PgConnection;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_domain::states::DeadLetterClass;
use uuid::Uuid;

/// Marks dead letters as published.
pub async fn mark_published(connection: &mut PgConnection, ids: &[Uuid]) -> Result<()> {
    sqlx::query("UPDATE dead_letters SET published_at = clock_timestamp() WHERE id = ANY($1)")
        .bind(ids)
        .execute(connection)
        .await?;
    Ok(())
}

/// The number of open dead letters of a stream and class.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct ClassCount {
    /// The stream that delivered them.
    #[sqlx(try_from = "String")]
    pub stream: EventStream,
    /// The class of the dead letters.
    #[sqlx(try_from = "String")]
    pub class: DeadLetterClass,
    /// Number of open dead letters.
    pub count: i64,
}

/// Counts the open dead letters of these lanes, by stream and class.
pub async fn count_by_class(
    connection: &mut PgConnection,
    keys: &[LaneKey],
) -> Result<Vec<ClassCount>> {
    let (streams, lanes) = columns::of_keys(keys);
    Ok(sqlx::query_as(
        "SELECT stream, class, count(*) AS count FROM dead_letters WHERE status = 'open' \
         AND (stream, lane) IN (SELECT k.stream, k.lane FROM UNNEST($1::text[], $2::int[]) AS k (stream, lane)) \
         GROUP BY stream, class",
    )
    .bind(streams)
    .bind(lanes)
    .fetch_all(connection)
    .await?)
}
