//! Letters that wait, after the number of lanes was changed.
//!
//! Owns: putting them into the lane their user is in now, so that somebody tries them again and new events wait behind
//! them. Must not know: how the number came to be changed.

use crate::error::Result;
use crate::status::lane_of;
use sqlx::PgPool;
use tiris_domain::event::Subject;
use uuid::Uuid;

/// Moves the blocking letters of `stream` into the lanes of a stream with `lanes` of them; answers how many moved.
pub async fn rehome(pool: &PgPool, stream: &str, lanes: u32) -> Result<u64> {
    let kept: Vec<(Uuid, i32, String)> =
        sqlx::query_as("SELECT id, lane, subject FROM dead_letters WHERE stream = $1 AND blocks")
            .bind(stream)
            .fetch_all(pool)
            .await?;
    let (mut ids, mut homes) = (Vec::new(), Vec::new());
    for (id, lane, subject) in kept {
        let Some(home) = home(&subject, lanes).filter(|home| *home != lane) else {
            continue;
        };
        ids.push(id);
        homes.push(home);
    }
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
fn home(subject: &str, lanes: u32) -> Option<i32> {
    let lane = match Subject::parse(subject)?.user {
        Some(user) => lane_of(Uuid::try_parse(&user).ok()?, lanes),
        None => lanes,
    };
    i32::try_from(lane).ok()
}
