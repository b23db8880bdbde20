//! Declaring the streams, and noticing that a stream is not the one the cursor belongs to.

use crate::process::Worker;
use crate::world::{LANES, WAIT, World, drain};
use anyhow::Result;
use tiris_domain::event::Kind;
use tiris_domain::lane::{EventStream, lane_of};
use tiris_ingest::lane::{Lane, Step};
use tiris_ingest::stream::{self, DeclareError, MESSAGE_BYTES_MAX, Mismatch, subjects};
use tiris_testing::eventually;

#[tokio::test]
async fn streams_are_declared_once_and_kept_as_they_are() -> Result<()> {
    let world = World::new().await?;
    stream::declare(world.jetstream(), &world.settings.streams).await?;
    for stream in EventStream::ALL {
        let config = world
            .jetstream()
            .get_stream(stream.name())
            .await?
            .cached_info()
            .config
            .clone();
        assert!(config.deny_delete && config.deny_purge);
        assert_eq!(config.max_message_size, MESSAGE_BYTES_MAX);
        assert_eq!(
            config.subject_transform,
            Some(subjects::transform(stream, world.settings.streams.lanes))
        );
    }
    let mut other = world.settings.streams.clone();
    other.lanes += 1;
    let refused = stream::declare(world.jetstream(), &other)
        .await
        .expect_err("other lanes");
    assert!(
        matches!(
            refused,
            DeclareError::Disagrees {
                stream: "TRADING",
                ..
            }
        ),
        "{refused}"
    );
    Ok(())
}

#[tokio::test]
async fn the_lane_a_user_is_told_of_is_the_one_the_broker_puts_him_into() -> Result<()> {
    let world = World::new().await?;
    for _ in 0..20 {
        let user = uuid::Uuid::new_v4();
        for (kind, stream) in [
            (Kind::OrderFilled, EventStream::Trading),
            (Kind::Signal, EventStream::System),
        ] {
            let (_, stored) = world
                .publish(&kind.subject_of(user), &serde_json::json!({}))
                .await?;
            assert_eq!(
                subjects::lane_of(stream, &stored, LANES),
                lane_of(user, LANES),
                "{stored}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_made_anew_halts_the_lane_before_it_reads() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    let mut lane = Lane::seize(world.context(), id).await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    world
        .jetstream()
        .delete_stream(EventStream::Trading.name())
        .await?;
    stream::declare(world.jetstream(), &world.settings.streams).await?;
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "8"),
        )
        .await?;
    let mut lane = Lane::seize(world.context(), id).await?;
    assert_eq!(
        drain(&mut lane).await,
        Step::Halted(Mismatch::StreamMadeAnew)
    );
    assert_eq!(world.balance(world.currency).await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_user_of_both_forms_of_subjects_and_a_bot_that_believes_otherwise_are_counted()
-> Result<()> {
    let world = World::new().await?;
    let mut worker = Worker::start(world.database.url(), &world.nats.url())?;
    let bare = Kind::BalanceUpdated.bare_subject();
    world
        .publish(bare, &world.credit(world.currency, "BTC", "1"))
        .await?;
    world.balance_reaches(world.currency, "1").await?;
    eventually("the note", WAIT, async || {
        world
            .expect_count("SELECT count(*) FROM bare_publishers", 1)
            .await
    })
    .await?;
    let mut event = world.credit(world.currency, "BTC", "2");
    event["new_balance"] = "7".into();
    world.send(Kind::BalanceUpdated, &event).await?;
    world.balance_reaches(world.currency, "3").await?;
    worker
        .counts("ingest_mixed_subjects_total{stream=\"TRADING\"} 1")
        .await?;
    worker
        .counts("ingest_drift_total{stream=\"TRADING\"} 1")
        .await?;
    worker.stops().await
}
