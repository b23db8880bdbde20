//! Replay jobs, and events to be replayed.

use crate::world::{WAIT, World};
use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tiris_domain::lane::EventStream;
use tiris_domain::states::ReplayStatus;
use tiris_ingest::context::Context;
use tiris_ingest::replay::Replayer;
use tiris_store::replay_jobs::{self, Job, NewJob};
use tiris_testing::eventually;
use uuid::Uuid;

pub(super) fn everything() -> NewJob {
    NewJob {
        requested_by: None,
        start_time: DateTime::UNIX_EPOCH,
        end_time: Utc::now() + TimeDelta::hours(1),
        user: None,
        kinds: None,
    }
}

pub(super) async fn request(world: &World, job: &NewJob) -> Result<Uuid> {
    let mut connection = world.service.acquire().await?;
    Ok(replay_jobs::create(&mut connection, job).await?.id)
}

pub(super) async fn find(world: &World, id: Uuid) -> Result<Job> {
    let mut connection = world.service.acquire().await?;
    Ok(replay_jobs::get(&mut connection, id).await?)
}

pub(super) async fn work(world: &World, id: Uuid) -> Result<Job> {
    work_with(world.context(), world, id).await
}

/// Works until the job has ended. A step may find no job while the server still ends an earlier session that locked it.
pub(super) async fn work_with(context: Context, world: &World, id: Uuid) -> Result<Job> {
    let mut replayer = Replayer::new(context);
    eventually("the end of the replay", WAIT, async || {
        replayer.step().await?;
        let job = find(world, id).await?;
        ensure!(job.has_ended(), "{job:?}");
        Ok(job)
    })
    .await
}

/// Summarizes a job that is done.
pub(super) fn summary(job: &Job) -> Result<String> {
    ensure!(job.status == ReplayStatus::Done, "{job:?}");
    Ok(format!(
        "{} applied, {} duplicate, {} rejected",
        job.applied, job.duplicate, job.rejected
    ))
}

/// Replays a range to its end, and summarizes the job.
pub(super) async fn replay(world: &World, job: &NewJob) -> Result<String> {
    let id = request(world, job).await?;
    summary(&work(world, id).await?)
}

/// Publishes events that no lane applies.
pub(super) async fn missing(world: &World, events: &[Value]) -> Result<()> {
    world.send_all(events).await?;
    skip_all(world).await
}

/// Moves the cursors of all lanes to the end, so that the published events are missing.
pub(super) async fn skip_all(world: &World) -> Result<()> {
    for stream in EventStream::ALL {
        let last = world.stream_info(stream.name()).await?.state.last_sequence;
        sqlx::query("UPDATE ingest_lanes SET cursor = $2, fingerprint = NULL WHERE stream = $1")
            .bind(stream.name())
            .bind(i64::try_from(last)?)
            .execute(world.pool())
            .await?;
    }
    Ok(())
}
