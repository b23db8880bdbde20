//! Moves waiting dead letters after a change of the number of lanes: into the lane of their user, so that a lane retries
//! them and new events wait behind them.

use crate::error::Result;
use sqlx::PgPool;
use tiris_domain::event::Subject;
use tiris_domain::lane::{EventStream, lane_of};
use uuid::Uuid;

/// Moves the blocking dead letters of `stream` into the lanes of a stream with `lanes` of them. Returns how many moved.
pub async fn rehome(pool: &PgPool, stream: EventStream, lanes: u16) -> Result<u64> {
    let waiting: Vec<(Uuid, i32, String)> =
        sqlx::query_as("SELECT id, lane, subject FROM dead_letters WHERE stream = $1 AND blocks")
            .bind(stream.name())
            .fetch_all(pool)
            .await?;
    let moves = waiting.into_iter().filter_map(|(id, lane, subject)| {
        let home = i32::from(home(&subject, lanes)?);
        (home != lane).then_some((id, home))
    });
    let (ids, homes): (Vec<Uuid>, Vec<i32>) = moves.unzip();
    if ids.is_empty() {
        return Ok(0);
    }

    let moved = sqlx::query(
        "UPDATE dead_letters d SET lane = n.lane FROM UNNEST($1::uuid[], $2::int[]) AS n (id, lane) WHERE d.id = n.id",
    )
    .bind(ids)
    .bind(homes)
    .execute(pool)
    .await?;
    Ok(moved.rows_affected())
}

/// Subjects without a user belong to the last lane.
fn home(subject: &str, lanes: u16) -> Option<u16> {
    match Subject::parse(subject)?.user {
        Some(user) => lane_of(Uuid::try_parse(&user).ok()?, lanes),
        None => Some(lanes),
    }
}
