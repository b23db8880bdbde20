//! Declaring the streams, and noticing that a stream is not the one the cursor belongs to.

use crate::world::{World, drain};
use anyhow::Result;
use tiris_ingest::identity::Mismatch;
use tiris_ingest::lane::{Lane, Step};
use tiris_ingest::stream::{self, DeclareError, EventStream, MESSAGE_BYTES_MAX};
use tiris_shared::event::Kind;

#[tokio::test]
async fn streams_are_declared_once_and_kept_as_they_are() -> Result<()> {
    let world = World::new().await?;
    stream::declare(world.jetstream(), &world.settings.streams).await?;
    for stream in EventStream::ALL {
        let config = world.jetstream().get_stream(stream.name()).await?.cached_info().config.clone();
        assert!(config.deny_delete && config.deny_purge);
        assert_eq!(config.max_message_size, MESSAGE_BYTES_MAX);
        assert_eq!(config.subject_transform, Some(stream.transform(world.settings.streams.lanes)));
    }
    let mut other = world.settings.streams.clone();
    other.lanes += 1;
    let refused = stream::declare(world.jetstream(), &other).await.expect_err("other lanes");
    assert!(matches!(refused, DeclareError::Disagrees { stream: "TRADING", .. }), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_stream_made_anew_halts_the_lane_before_it_reads() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    let mut lane = Lane::seize(world.context(), id).await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    world.jetstream().delete_stream(EventStream::Trading.name()).await?;
    stream::declare(world.jetstream(), &world.settings.streams).await?;
    world.send(Kind::BalanceUpdated, &world.credit(world.currency, "BTC", "8")).await?;
    let mut lane = Lane::seize(world.context(), id).await?;
    assert_eq!(drain(&mut lane).await, Step::Halted(Mismatch::StreamMadeAnew));
    assert_eq!(world.balance(world.currency).await?, "1");
    Ok(())
}
