//! Waits until both streams are processed: the cursor of every lane is at its last message and no dead letter is retried.

use super::stream::Stored;
use crate::run::Options;
use crate::system::System;
use crate::system::worker::LANES;
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A system without progress for this time is stuck.
const STUCK_LIMIT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(200);

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
        // All accounts exist: no retry needs to wait for minutes.
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

        let now = format!("{behind:?}, {letters} dead letters waiting after {attempts} attempts");
        if now != last {
            last = now;
            moved_at = Instant::now();
        }
        ensure!(moved_at.elapsed() < STUCK_LIMIT, "no progress: {last}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The lanes before their last message, with both positions.
async fn behind(system: &System, ends: &BTreeMap<(&str, i32), i64>) -> Result<Vec<String>> {
    let rows: Vec<(String, i32, i64)> =
        sqlx::query_as("SELECT stream, lane, cursor FROM ingest_lanes")
            .fetch_all(&system.pool)
            .await?;
    let cursors: BTreeMap<(&str, i32), i64> = rows
        .iter()
        .map(|(stream, lane, cursor)| ((stream.as_str(), *lane), *cursor))
        .collect();

    let behind = ends.iter().filter_map(|(key, end)| {
        let cursor = cursors.get(key).copied().unwrap_or_default();
        let (stream, lane) = key;
        (cursor < *end).then(|| format!("{stream}/{lane} at {cursor} of {end}"))
    });
    Ok(behind.collect())
}
