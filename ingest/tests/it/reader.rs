//! How much one read takes.

use crate::world::{LANES, WAIT, World};
use anyhow::{Result, ensure};
use futures_util::TryStreamExt;
use tiris_domain::lane::EventStream;
use tiris_ingest::stream::{BatchLimits, Range, Reader};
use tiris_testing::eventually;

/// More than a task may do before the runtime makes it pause, fewer than one pull asks for.
const MESSAGES: u32 = 300;

#[tokio::test]
async fn a_batch_is_all_that_has_arrived() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    world.send_credits(MESSAGES).await?;
    let mut reader = Reader::open(&world.connection, Range::of_lane(id, LANES, 1, 0, 0)).await?;
    let read = async |reader: &mut Reader, events| {
        reader
            .next_batch(
                &world.connection,
                BatchLimits {
                    events,
                    bytes: 1 << 20,
                },
                WAIT,
            )
            .await
    };
    assert_eq!(read(&mut reader, 1).await?.len(), 1);
    // Told over the connection the messages come by: when it is told, they are here.
    eventually("everything is delivered", WAIT, async || -> Result<()> {
        let stream = world
            .jetstream()
            .get_stream(EventStream::Trading.name())
            .await?;
        let consumers: Vec<_> = stream.consumers().try_collect().await?;
        ensure!(
            consumers.iter().all(|consumer| consumer.num_pending == 0),
            "{consumers:?}"
        );
        Ok(())
    })
    .await?;
    assert_eq!(
        read(&mut reader, 1_000).await?.len(),
        usize::try_from(MESSAGES)?
    );
    Ok(())
}
