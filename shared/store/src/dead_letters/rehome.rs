//! Letters that wait, after the number of lanes was changed.
//!
//! Owns: putting them into the lane their user is in now, so that a lane tries them again and new events wait behind
//! them. Must not know: how the number came to be changed.

use crate::error::Result;
use crate::lanes::columns::KeyColumns;
use sqlx::PgPool;
use tiris_domain::event::Subject;
use tiris_domain::lane::{EventStream, LaneKey, lane_of};
use uuid::Uuid;

#[derive(sqlx::FromRow)]
struct Waiting {
    id: Uuid,
    #[sqlx(flatten, try_from = "KeyColumns")]
    key: LaneKey,
    subject: String,
}

/// Moves the blocking letters of `stream` into the lanes of a stream with `lanes` of them. Returns how many moved.
pub async fn rehome(pool: &PgPool, stream: EventStream, lanes: u16) -> Result<u64> {
    let waiting: Vec<Waiting> = sqlx::query_as(
        "SELECT id, stream, lane, subject FROM dead_letters WHERE stream = $1 AND blocks",
    )
    .bind(stream.name())
    .fetch_all(pool)
    .await?;
    let moves = waiting.into_iter().filter_map(|letter| {
        let home = home(&letter.subject, lanes)?;
        (home != letter.key.lane).then_some((letter.id, i32::from(home)))
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

/// The last lane is that of subjects without a user.
fn home(subject: &str, lanes: u16) -> Option<u16> {
    match Subject::parse(subject)?.user {
        Some(user) => lane_of(Uuid::try_parse(&user).ok()?, lanes),
        None => Some(lanes),
    }
}
