//! Replay of a time range: applies missing and dead events, and skips applied ones.

mod command;
mod dead_letters;
mod job;

use self::job::{everything, find, missing, replay, request, skip_all, summary, work, work_with};
use crate::world::{LANES, WAIT, World, drain, seize};
use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use tiris_domain::event::Kind;
use tiris_domain::ids::UserId;
use tiris_domain::lane::EventStream;
use tiris_domain::lane::LaneKey;
use tiris_domain::states::ReplayStatus;
use tiris_ingest::replay::{Replayer, Step};
use tiris_store::error::Error;
use tiris_store::replay_jobs::{self, NewJob};
use tiris_testing::eventually;
use uuid::Uuid;

#[tokio::test]
async fn applies_missing_and_dead_events_in_order() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    world.send(&world.btc_debit("5")).await?;
    drain(&mut lane).await?;
    world.expect_dead_letters("INSUFFICIENT_BALANCE", 1).await?;
    // The second needs the first.
    missing(&world, &[world.btc_credit("10"), world.btc_debit("8")]).await?;

    // The dead debit comes first in the stream, when the balance is still too small.
    let first = replay(&world, &everything()).await?;
    assert_eq!(first, "2 applied, 1 duplicate, 1 rejected");
    assert_eq!(world.btc().await?, "3");
    world.expect_dead_letters("INSUFFICIENT_BALANCE", 1).await?;

    world.deposit("4").await?;
    let second = replay(&world, &everything()).await?;
    assert_eq!(second, "1 applied, 3 duplicate, 0 rejected");
    assert_eq!(world.btc().await?, "2");
    let by = "dead_letters WHERE status = 'replayed' AND info->'resolution'->'by'->>'kind' = 'range_replay'";
    world.expect_rows(by, 1).await
}

#[tokio::test]
async fn skips_applied_events() -> Result<()> {
    let world = World::new().await?;
    world.lane().await?;
    missing(&world, &[world.btc_credit("10")]).await?;

    let first = replay(&world, &everything()).await?;
    assert_eq!(first, "1 applied, 1 duplicate, 0 rejected");

    let again = replay(&world, &everything()).await?;
    assert_eq!(again, "0 applied, 2 duplicate, 0 rejected");
    world.expect_rows("transactions", 2).await
}

#[tokio::test]
async fn a_malformed_message_becomes_one_dead_letter() -> Result<()> {
    let world = World::new().await?;
    world.lane().await?;
    world.send_bytes("no event").await?;
    skip_all(&world).await?;

    for _ in 0..2 {
        let done = replay(&world, &everything()).await?;
        assert_eq!(done, "0 applied, 1 duplicate, 1 rejected");
        let malformed = "dead_letters WHERE class = 'malformed'";
        world.expect_rows(malformed, 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn applies_nothing_past_the_cursor_of_a_lane() -> Result<()> {
    let world = World::new().await?;
    world.lane().await?;
    world.send_credits(1).await?;

    let done = replay(&world, &everything()).await?;

    assert_eq!(done, "0 applied, 1 duplicate, 0 rejected");
    assert_eq!(world.btc().await?, "1");
    Ok(())
}

/// Publishes a credit and a signal that are missing.
async fn missing_credit_and_signal(world: &World) -> Result<()> {
    world.lane().await?;
    for lane in 0..=LANES {
        let stream = EventStream::System;
        seize(world.context(), LaneKey { stream, lane }).await?;
    }
    missing(world, &[world.btc_credit("1"), world.signal()]).await
}

#[tokio::test]
async fn applies_only_the_requested_events() -> Result<()> {
    let world = World::new().await?;
    missing_credit_and_signal(&world).await?;

    let of_a_stranger = NewJob {
        user: Some(UserId(Uuid::now_v7())),
        ..everything()
    };
    let nothing = replay(&world, &of_a_stranger).await?;
    assert_eq!(nothing, "0 applied, 0 duplicate, 0 rejected");

    let before = NewJob {
        end_time: Utc::now() - TimeDelta::hours(1),
        ..everything()
    };
    let nothing = replay(&world, &before).await?;
    assert_eq!(nothing, "0 applied, 0 duplicate, 0 rejected");

    let signals = NewJob {
        kinds: Some(vec![Kind::Signal]),
        ..everything()
    };
    let signal = replay(&world, &signals).await?;
    assert_eq!(signal, "1 applied, 0 duplicate, 0 rejected");

    let of_the_user = NewJob {
        user: Some(UserId(world.user)),
        ..everything()
    };
    let credit = replay(&world, &of_the_user).await?;
    assert_eq!(credit, "1 applied, 2 duplicate, 0 rejected");
    assert_eq!(world.btc().await?, "2");
    Ok(())
}

#[tokio::test]
async fn refuses_a_range_that_ends_before_it_begins() -> Result<()> {
    let world = World::new().await?;
    let backwards = NewJob {
        end_time: DateTime::UNIX_EPOCH,
        ..everything()
    };

    let mut connection = world.service.acquire().await?;
    let refused = replay_jobs::create(&mut connection, &backwards).await;

    let expected = matches!(
        refused,
        Err(Error::InvalidValue { ref field, .. }) if field == "end_time"
    );
    assert!(expected, "{refused:?}");
    Ok(())
}

/// Publishes 600 missing credits of 1 BTC, after the applied one.
async fn many_missing(world: &World) -> Result<()> {
    for _ in 0..600 {
        let event = world.btc_credit("1").to_string();
        let publish = world.jetstream().publish(world.subject(), event.into());
        publish.await?;
    }
    eventually("all messages", WAIT, async || {
        let last = world.stream_info("TRADING").await?.state.last_sequence;
        ensure!(last == 601, "{last}");
        Ok(())
    })
    .await?;
    skip_all(world).await
}

#[tokio::test]
async fn continues_where_another_worker_stopped() -> Result<()> {
    let world = World::new().await?;
    world.lane().await?;
    many_missing(&world).await?;
    let id = request(&world, &everything()).await?;

    let mut seen = Vec::new();
    while seen.last() != Some(&600) {
        // Two run the job at once, each for at most one chunk.
        let mut one = Replayer::new(world.context());
        let mut other = Replayer::new(world.context());
        let (first, second) = tokio::join!(one.step(), other.step());
        first?;
        second?;
        let job = find(&world, id).await?;
        ensure!(seen.len() < 100, "no end: {job:?}");
        seen.push(job.applied);
    }

    let job = work(&world, id).await?;
    assert_eq!(summary(&job)?, "600 applied, 1 duplicate, 0 rejected");
    let interrupted = seen.iter().any(|applied| (1..600).contains(applied));
    assert!(interrupted, "one chunk took all: {seen:?}");
    assert_eq!(world.btc().await?, "601");
    Ok(())
}

#[tokio::test]
async fn fails_when_the_stream_was_recreated() -> Result<()> {
    let world = World::new().await?;
    world.lane().await?;
    let id = request(&world, &everything()).await?;
    assert_eq!(Replayer::new(world.context()).step().await?, Step::Worked);

    world.recreate_stream().await?;
    let job = work(&world, id).await?;

    assert_eq!(job.status, ReplayStatus::Failed);
    let reason = job.reason.unwrap_or_default();
    assert!(reason.contains("recreated"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn processed_events_of_refused_subjects_get_no_dead_letter() -> Result<()> {
    let world = World::new().await?;
    world.send_bare(&world.btc_credit("1")).await?;
    world.send_bare(&world.heartbeat()).await?;
    world
        .run_until("both events", async || {
            world.expect_rows("bots", 1).await?;
            world.expect_rows("transactions", 1).await
        })
        .await?;
    world.send_bare(&world.btc_credit("2")).await?;
    world
        .run_with(world.refusing(), "a dead letter", async || {
            world.expect_dead_letters("BARE_SUBJECT", 1).await
        })
        .await?;

    let id = request(&world, &everything()).await?;
    let job = work_with(world.refusing(), &world, id).await?;

    assert_eq!(summary(&job)?, "0 applied, 2 duplicate, 1 rejected");
    world.expect_rows("dead_letters", 1).await
}
