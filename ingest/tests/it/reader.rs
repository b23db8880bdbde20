//! The size of a batch that a reader returns.

use crate::world::{LANES, WAIT, World};
use anyhow::{Result, ensure};
use futures_util::TryStreamExt;
use tiris_domain::lane::EventStream;
use tiris_ingest::stream::{BatchLimits, Range, Reader};
use tiris_testing::eventually;

/// More than the runtime's budget of a task, fewer than one pull request fetches.
const MESSAGES: u32 = 300;

/// Returns the number of messages in the next batch, at most `events`.
async fn read(world: &World, reader: &mut Reader, events: usize) -> Result<usize> {
    let limits = BatchLimits {
        events,
        bytes: 1 << 20,
    };
    let batch = reader.next_batch(&world.connection, limits, WAIT).await?;
    Ok(batch.len())
}

/// Waits until all messages have arrived: the report comes after them on the same connection.
async fn everything_is_delivered(world: &World) -> Result<()> {
    eventually("everything is delivered", WAIT, async || -> Result<()> {
        let name = EventStream::Trading.name();
        let stream = world.jetstream().get_stream(name).await?;
        let consumers: Vec<_> = stream.consumers().try_collect().await?;
        let all = consumers.iter().all(|consumer| consumer.num_pending == 0);
        ensure!(all, "{consumers:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_batch_is_all_that_has_arrived() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    world.send_credits(MESSAGES).await?;
    let mut reader = Reader::open(&world.connection, Range::of_lane(id, LANES, 1, 0, 0)).await?;

    assert_eq!(read(&world, &mut reader, 1).await?, 1);
    everything_is_delivered(&world).await?;

    let rest = read(&world, &mut reader, 1_000).await?;
    assert_eq!(rest, usize::try_from(MESSAGES)?);
    Ok(())
}
