//! Waits until everything both streams hold is done.
//!
//! Owns: what "done" means: every lane's cursor is at its last message, and no letter is tried again by itself. Must not
//! know: what the books must be.

use super::stream::Stored;
use crate::run::Options;
use crate::system::System;
use crate::system::settings::LANES;
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Without any progress for so long it is stuck.
const STUCK_LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) async fn wait(system: &System, messages: &[Stored], options: &Options) -> Result<()> {
    let mut ends: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    let bare = i32::try_from(LANES)?;
    for message in messages {
        let lane = message.lane.unwrap_or(bare);
        ends.insert((message.stream, lane), i64::try_from(message.seq)?);
    }

    let mut last = String::new();
    let mut moved_at = Instant::now();
    loop {
        options.check_stop()?;
        // All accounts are there: nobody needs to wait minutes for what will work now.
        sqlx::query(
            "UPDATE dead_letters SET next_attempt_at = now() \
             WHERE blocks AND next_attempt_at > now() + interval '1 second'",
        )
        .execute(&system.pool)
        .await?;

        let behind = behind(system, &ends).await?;
        let (letters, attempts): (i64, i64) = sqlx::query_as(
            "SELECT count(*), coalesce(sum(attempts), 0)::bigint FROM dead_letters WHERE blocks",
        )
        .fetch_one(&system.pool)
        .await?;
        if behind.is_empty() && letters == 0 {
            return Ok(());
        }

        let now = format!("{behind:?}, {letters} letters waiting after {attempts} attempts");
        if now != last {
            last = now;
            moved_at = Instant::now();
        }
        ensure!(
            moved_at.elapsed() < STUCK_LIMIT,
            "nothing moves any more: {last}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// The lanes that are not at their last message, with both positions.
async fn behind(system: &System, ends: &BTreeMap<(&str, i32), i64>) -> Result<Vec<String>> {
    let rows: Vec<(String, i32, i64)> =
        sqlx::query_as("SELECT stream, lane, cursor FROM ingest_lanes")
            .fetch_all(&system.pool)
            .await?;
    let found: BTreeMap<(&str, i32), i64> = rows
        .iter()
        .map(|(stream, lane, cursor)| ((stream.as_str(), *lane), *cursor))
        .collect();
    let behind = ends
        .iter()
        .filter(|(lane, end)| found.get(lane).is_none_or(|cursor| cursor < *end));

    Ok(behind
        .map(|((stream, lane), end)| {
            let cursor = found.get(&(*stream, *lane)).copied().unwrap_or_default();
            format!("{stream}/{lane} at {cursor} of {end}")
        })
        .collect())
}
