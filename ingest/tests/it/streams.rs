//! Declares the streams, and detects a stream that does not match the cursor.

use crate::world::{LANES, World, last_step, seize};
use anyhow::Result;
use serde_json::json;
use tiris_domain::event::Kind;
use tiris_domain::lane::{EventStream, lane_of};
use tiris_ingest::lane::Step;
use tiris_ingest::stream::{self, DeclareError, Mismatch, subjects};
use uuid::Uuid;

#[tokio::test]
async fn declares_streams_once_and_leaves_them_unchanged() -> Result<()> {
    let world = World::new().await?;
    let before = world.stream_info("TRADING").await?;

    world.declare().await?;

    assert_eq!(world.stream_info("TRADING").await?.config, before.config);
    for stream in EventStream::ALL {
        let config = world.stream_info(stream.name()).await?.config;
        let transform = subjects::transform(stream, world.settings.streams.lanes);
        assert!(config.deny_delete, "{config:?}");
        assert!(config.deny_purge, "{config:?}");
        assert_eq!(config.max_message_size, 68 * 1024);
        assert_eq!(config.subject_transform, Some(transform));
        assert_eq!(config.max_messages_per_subject, 2_000_000);
        assert!(config.discard_new_per_subject, "{config:?}");
    }
    Ok(())
}

#[tokio::test]
async fn refuses_streams_with_other_lanes() -> Result<()> {
    let world = World::new().await?;
    let mut other = world.settings.streams.clone();
    other.lanes += 1;

    let declared = stream::declare(world.pool(), &world.connection, &other).await;

    let disagrees = matches!(
        declared,
        Err(DeclareError::Disagrees {
            stream: "TRADING",
            ..
        })
    );
    assert!(disagrees, "{declared:?}");
    Ok(())
}

#[tokio::test]
async fn computes_the_same_lane_as_the_broker() -> Result<()> {
    let world = World::new().await?;
    for _ in 0..20 {
        let user = Uuid::new_v4();
        for (kind, stream) in [
            (Kind::OrderFilled, EventStream::Trading),
            (Kind::Signal, EventStream::System),
        ] {
            let subject = kind.subject_of(user);
            let stored = world.publish(&subject, &json!({})).await?.subject;

            let lane = subjects::lane_of(stream, &stored, LANES);
            assert_eq!(lane, lane_of(user, LANES), "{stored}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_recreated_stream_halts_the_lane_before_it_reads() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    let mut lane = seize(world.context(), id).await?;
    assert_eq!(last_step(&mut lane).await, Step::Idle);

    world.recreate_stream().await?;
    world.send(&world.btc_credit("8")).await?;
    let mut lane = seize(world.context(), id).await?;
    let step = last_step(&mut lane).await;

    assert_eq!(step, Step::Halted(Mismatch::Recreated));
    assert_eq!(world.btc().await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_user_of_both_forms_of_subjects_is_counted() -> Result<()> {
    let world = World::new().await?;
    let mut worker = world.worker()?;
    world.send_bare(&world.btc_credit("1")).await?;
    world.btc_reaches("1").await?;
    world.rows_reach("bare_publishers", 1).await?;

    world.send_credits(1).await?;

    world.btc_reaches("2").await?;
    worker
        .counts("ingest_mixed_subjects_total{stream=\"TRADING\"} 1")
        .await?;
    worker.stops().await
}

#[tokio::test]
async fn a_bot_that_assumes_another_balance_is_counted() -> Result<()> {
    let world = World::new().await?;
    let mut worker = world.worker()?;
    let mut event = world.btc_credit("2");
    event["new_balance"] = json!("7");

    world.send(&event).await?;

    world.btc_reaches("2").await?;
    worker
        .counts("ledger_drift_total{kind=\"balance\"} 1")
        .await?;
    worker.stops().await
}
