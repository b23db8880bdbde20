//! The limits of the streams: what a full subject or stream does to publishers, and how settings take effect.

use crate::world::{WAIT, World};
use anyhow::{Context as _, Result, bail, ensure};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::Config;
use serde_json::{Value, json};
use std::error::Error as _;
use std::time::Duration;
use tiris_domain::event::Kind;
use tiris_domain::lane::EventStream;
use tiris_ingest::settings::StreamSettings;
use tiris_testing::eventually;
use uuid::Uuid;

impl World {
    fn streams(&self, change: impl FnOnce(&mut StreamSettings)) -> StreamSettings {
        let mut streams = self.settings.streams.clone();
        change(&mut streams);
        streams
    }

    async fn config(&self) -> Result<Config> {
        Ok(self.stream_info("TRADING").await?.config)
    }

    /// Publishes until the broker refuses. Returns how many it accepted, and the reason of the refusal.
    async fn flood(&self, subject: &str, payload: &[u8]) -> Result<(u64, String)> {
        for accepted in 0..100_000 {
            if let Err(why) = self.offer(subject, payload).await? {
                return Ok((accepted, why));
            }
        }
        bail!("nothing was refused")
    }

    /// Publishes once. Returns the reason of a refusal by the stream.
    async fn offer(&self, subject: &str, payload: &[u8]) -> Result<Result<(), String>> {
        let publish = self
            .jetstream()
            .publish(subject.to_owned(), payload.to_vec().into());
        let Err(error) = publish.await?.await else {
            return Ok(Ok(()));
        };
        let source = error.source().context("a reason")?;
        let reason = source.downcast_ref::<async_nats::jetstream::Error>();
        let reason = reason.with_context(|| error.to_string())?;
        ensure!(
            reason.error_code() == ErrorCode::STREAM_STORE_FAILED,
            "{reason}"
        );
        Ok(Err(reason.to_string()))
    }

    async fn stored_bytes(&self) -> Result<u64> {
        Ok(self.stream_info("TRADING").await?.state.bytes)
    }
}

#[tokio::test]
async fn a_full_subject_refuses_its_publisher_and_nobody_else() -> Result<()> {
    let world = World::new().await?;
    let narrow = world.streams(|streams| streams.limits.messages_per_subject = 3);
    world.declare_with(&narrow).await?;
    let other = Uuid::now_v7();

    let (accepted, why) = world.flood(&world.subject(), b"flood").await?;

    assert_eq!(accepted, 3);
    ensure!(
        why.contains("maximum messages per subject exceeded"),
        "{why}"
    );
    let neighbour = Kind::BalanceUpdated.subject_of(other);
    assert_eq!(world.offer(&neighbour, b"a neighbour").await?, Ok(()));
    let another_type = Kind::BalanceLocked.subject_of(world.user);
    assert_eq!(world.offer(&another_type, b"the same user").await?, Ok(()));
    assert_eq!(world.stream_info("TRADING").await?.state.messages, 5);
    Ok(())
}

#[tokio::test]
async fn no_user_stores_more_than_their_share() -> Result<()> {
    let world = World::new().await?;
    let narrow = world.streams(|streams| {
        streams.limits.messages_per_subject = 2;
        streams.limits.message_bytes = 4_096;
    });
    world.declare_with(&narrow).await?;

    let kinds = Kind::ALL.into_iter();
    let kinds = kinds.filter(|kind| EventStream::of_kind(*kind) == EventStream::Trading);
    for subject in kinds.map(|kind| kind.subject_of(world.user)) {
        let (accepted, _) = world.flood(&subject, &[b'x'; 4_096]).await?;
        assert_eq!(accepted, 2, "{subject}");
    }
    let neighbour = Kind::BalanceUpdated.subject_of(Uuid::now_v7());
    let larger = world
        .jetstream()
        .publish(neighbour, vec![b'x'; 4_097].into());
    let refusal = larger.await?.await.err().context("a refusal")?;

    let why = format!("{refusal:?}");
    ensure!(why.contains("message size exceeds maximum"), "{why}");
    let json = world.run(&["status", "--json"]).await?;
    let json: Value = serde_json::from_str(&json.stdout)?;
    let stream = &json["streams"][0];
    assert_eq!(stream["messages"], 14, "{stream}");
    assert_eq!(stream["user_bytes_max"], 14 * 4_096, "{stream}");
    Ok(())
}

#[tokio::test]
async fn the_last_start_decides_about_the_limits() -> Result<()> {
    let world = World::new().await?;
    let narrow = world.streams(|streams| {
        streams.limits.max_bytes = 10_000_000;
        streams.limits.messages_per_subject = 100;
        streams.limits.message_bytes = 4_096;
        streams.limits.trading_max_age /= 2;
    });

    world.declare_with(&narrow).await?;
    let narrowed = world.config().await?;
    world.declare().await?;
    let widened = world.config().await?;

    assert_eq!(narrowed.max_bytes, 10_000_000);
    assert_eq!(narrowed.max_messages_per_subject, 100);
    assert_eq!(narrowed.max_message_size, 4_096);
    assert_eq!(narrowed.max_age, narrow.limits.trading_max_age);
    assert_eq!(widened.max_bytes, -1);
    assert_eq!(widened.max_messages_per_subject, 2_000_000);
    assert_eq!(widened.max_message_size, 69_632);
    assert_eq!(
        widened.max_age,
        world.settings.streams.limits.trading_max_age
    );
    Ok(())
}

#[tokio::test]
async fn a_start_never_deletes_or_blocks_unread_messages() -> Result<()> {
    let world = World::new().await?;
    world.send_credits(10).await?;
    let too_narrow = world.streams(|streams| {
        streams.limits.max_bytes = 1_000;
        streams.limits.messages_per_subject = 5;
        // Less than the margin for unread messages.
        streams.limits.trading_max_age = Duration::from_secs(600);
        streams.limits.replicas = 3;
    });
    let before = world.config().await?;

    world.declare_with(&too_narrow).await?;

    let info = world.stream_info("TRADING").await?;
    assert_eq!(info.config, before);
    assert_eq!(info.state.messages, 10);
    Ok(())
}

#[tokio::test]
async fn fewer_days_apply_once_every_message_is_read() -> Result<()> {
    let world = World::new().await?;
    world.send_credits(1).await?;
    let short = world.streams(|streams| {
        streams.limits.trading_max_age = Duration::from_secs(1_800);
    });
    world.declare_with(&short).await?;
    let kept = world.config().await?.max_age;
    let created = world.stream_info("TRADING").await?.created;
    let created = i64::try_from(created.unix_timestamp_nanos())?;
    sqlx::query("INSERT INTO ingest_lanes (stream, lane, cursor, stream_created_at) VALUES ('TRADING', 0, 1, $1)")
        .bind(created)
        .execute(world.pool())
        .await?;

    world.declare_with(&short).await?;

    assert_eq!(kept, world.settings.streams.limits.trading_max_age);
    assert_eq!(world.config().await?.max_age, short.limits.trading_max_age);
    Ok(())
}

/// Follows the runbook of a full stream in `ingest/README.md`, with its commands and settings.
#[tokio::test]
async fn the_runbook_lets_publishers_go_on_after_a_full_stream() -> Result<()> {
    let world = World::new().await?;
    let bytes = 200_000.to_string();
    let mut worker = world.worker_with(&[("TIRIS_STREAM_BYTES", &bytes)])?;
    worker.ready().await?;

    // A bot floods its own subject until the stream has no room even for a short message of a neighbour.
    let (long, why) = world.flood(&world.subject(), &[b'x'; 10_000]).await?;
    ensure!(why.contains("maximum bytes exceeded"), "{why}");
    let (short, _) = world.flood(&world.subject(), b"x").await?;
    let letters = i64::try_from(long + short)?;
    let neighbour = Kind::BalanceUpdated.subject_of(Uuid::now_v7());
    let refused = world.offer(&neighbour, b"a neighbour").await?;
    ensure!(refused.is_err(), "the stream is not full");

    let not_reported = "ingest_lanes WHERE status <> 'running'";
    world.rows_reach(not_reported, 0).await?;

    // 1. `tiris-ingest status` names the full stream and the subject that fills it.
    let status = world.run(&["status"]).await?;
    status.succeeds(&["TRADING", &bytes, "one user can fill it"])?;
    let json = world.run(&["status", "--json"]).await?;
    let json: Value = serde_json::from_str(&json.stdout)?;
    let stream = &json["streams"][0];
    assert_eq!(stream["limits"]["bytes"], 200_000, "{stream}");
    assert_eq!(
        stream["settings_differ"],
        json!({"bytes": null}),
        "{stream}"
    );
    let fullest = stream["fullest_subject"]["subject"].as_str();
    let fullest = fullest.context("a subject")?;
    ensure!(fullest.ends_with(&world.user.to_string()), "{fullest}");

    // 3. Raise TIRIS_STREAM_BYTES and restart one worker.
    worker.stops().await?;
    let mut worker = world.worker_with(&[("TIRIS_STREAM_BYTES", "400000")])?;
    worker.ready().await?;

    // 4. Publishers go on; nothing was lost.
    let credit = world.btc_credit("1").to_string();
    assert_eq!(world.config().await?.max_bytes, 400_000);
    assert_eq!(
        world.offer(&world.subject(), credit.as_bytes()).await?,
        Ok(())
    );
    world.btc_reaches("1").await?;
    world.expect_rows("dead_letters", letters).await?;
    ensure!(
        world.stored_bytes().await? > 200_000,
        "messages are missing"
    );
    worker.stops().await
}

#[tokio::test]
async fn copies_of_dead_letters_have_a_budget_of_their_own() -> Result<()> {
    let world = World::new().await?;
    let budget = [("TIRIS_DEAD_LETTER_STREAM_BYTES", "1048576")];
    let mut worker = world.ready_worker().await?;
    eventually("the stream of copies", WAIT, async || {
        let config = world.stream_info("TRADING_DLQ").await?.config;
        ensure!(config.max_bytes == 1_073_741_824, "{config:?}");
        Ok(())
    })
    .await?;
    worker.stops().await?;

    let mut worker = world.worker_with(&budget)?;
    for _ in 0..25 {
        world.send_bytes(vec![b'x'; 60_000]).await?;
    }
    let published = "dead_letters WHERE published_at IS NOT NULL";
    world.rows_reach(published, 25).await?;

    let copies = world.stream_info("TRADING_DLQ").await?;
    assert_eq!(copies.config.max_bytes, 1_048_576);
    ensure!(copies.state.bytes <= 1_048_576, "{copies:?}");
    ensure!(copies.state.first_sequence > 1, "{copies:?}");
    worker.stops().await
}
