//! Waits until both streams are processed: the cursor of every lane is at its last message, none was passed over, and no
//! dead letter is retried.

use super::stream::Stored;
use crate::run::Options;
use crate::system::System;
use crate::system::worker::LANES;
use anyhow::Result;
use std::collections::BTreeMap;
use std::time::Duration;
use tiris_tools::Stall;

const POLL_INTERVAL: Duration = Duration::from_millis(200);

pub(crate) async fn wait(system: &System, messages: &[Stored], options: &Options) -> Result<()> {
    let mut ends: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    let bare = i32::try_from(LANES)?;
    for message in messages {
        let lane = message.lane.unwrap_or(bare);
        ends.insert((message.stream, lane), i64::try_from(message.seq)?);
    }

    // All accounts exist now, but for the event of an account that was created late retries may have ended.
    sqlx::query(
        "UPDATE dead_letters SET attempts = 0, next_attempt_at = now() WHERE status = 'open' AND class = 'unresolved' \
         AND NOT blocks",
    )
    .execute(&system.pool)
    .await?;

    let mut stall = Stall::default();
    loop {
        options.check_stop()?;
        // No retry needs to wait any more.
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
        let detours = detours(system).await?;
        if behind.is_empty() && letters == 0 && detours.is_empty() {
            return Ok(());
        }

        let waiting = format!("{letters} dead letters waiting after {attempts} attempts");
        stall.check(format_args!(
            "{behind:?}, {waiting}, passed over: {detours:?}"
        ))?;
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Returns the users whose messages were passed over, with their number. An earlier release has no detours.
async fn detours(system: &System) -> Result<Vec<String>> {
    let has_detours: bool = sqlx::query_scalar("SELECT to_regclass('lane_detours') IS NOT NULL")
        .fetch_one(&system.pool)
        .await?;
    if !has_detours {
        return Ok(Vec::new());
    }

    let detours = "SELECT format('%s messages of %s', behind, user_id) FROM lane_detours";
    Ok(sqlx::query_scalar(detours).fetch_all(&system.pool).await?)
}

/// Returns the lanes before their last message, with both positions.
async fn behind(system: &System, ends: &BTreeMap<(&str, i32), i64>) -> Result<Vec<String>> {
    let behind = sqlx::query_scalar(
        "SELECT format('%s/%s at %s of %s', stream, lane, cursor, last) \
         FROM UNNEST($1::text[], $2::int[], $3::bigint[]) AS e (stream, lane, last) \
         LEFT JOIN ingest_lanes USING (stream, lane) WHERE coalesce(cursor, 0) < last",
    )
    .bind(ends.keys().map(|key| key.0).collect::<Vec<_>>())
    .bind(ends.keys().map(|key| key.1).collect::<Vec<_>>())
    .bind(ends.values().copied().collect::<Vec<_>>())
    .fetch_all(&system.pool)
    .await?;
    Ok(behind)
}
