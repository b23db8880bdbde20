//! Copies of dead letters in the stream `TRADING_DLQ`: at least once, marked when acknowledged.

use crate::world::{World, drain, seize};
use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::Config;
use tiris_ingest::dead_letters::{NAME, publish_some};
use tiris_testing::NatsSettings;

const UNPUBLISHED: &str = "dead_letters WHERE published_at IS NULL";

async fn create_stream(world: &World) -> Result<()> {
    let config = Config {
        name: NAME.to_owned(),
        subjects: vec!["dlq.trading.>".to_owned()],
        ..Config::default()
    };
    world.jetstream().create_stream(config).await?;
    Ok(())
}

async fn copy(world: &World, sequence: u64) -> Result<StreamMessage> {
    let stream = world.jetstream().get_stream(NAME).await?;
    Ok(stream.get_raw_message(sequence).await?)
}

fn header<'a>(message: &'a StreamMessage, name: &str) -> Result<&'a str> {
    let header = message.headers.get(name);
    Ok(header
        .with_context(|| format!("no header {name}"))?
        .as_str())
}

#[tokio::test]
async fn publishes_a_dead_letter_with_reason_and_payload() -> Result<()> {
    let world = World::new().await?;
    let mut worker = world.ready_worker().await?;
    let event = world.btc_debit("5");

    world.send(&event).await?;
    world
        .rows_reach("dead_letters WHERE published_at IS NOT NULL", 1)
        .await?;

    let copy = copy(&world, 1).await?;
    let subject = copy.subject.as_str();
    ensure!(
        subject.starts_with("dlq.trading.balance.updated."),
        "{subject}"
    );
    assert_eq!(copy.payload, event.to_string().as_bytes());
    assert_eq!(header(&copy, "Tiris-Code")?, "INSUFFICIENT_BALANCE");
    assert_eq!(header(&copy, "Tiris-Class")?, "rejected");
    assert_eq!(header(&copy, "Tiris-Event-Id")?, event["event_id"]);
    worker.stops().await
}

#[tokio::test]
async fn leaves_out_a_payload_that_is_too_long() -> Result<()> {
    let world = World::new().await?;
    let mut worker = world.ready_worker().await?;

    world.send_bytes(vec![b'x'; 65 * 1024]).await?;
    world
        .rows_reach("dead_letters WHERE published_at IS NOT NULL", 1)
        .await?;

    let copy = copy(&world, 1).await?;
    assert_eq!(copy.payload, "");
    assert_eq!(header(&copy, "Tiris-Payload-Omitted")?, "66560 bytes");
    worker
        .counts("ingest_dead_letters_open{stream=\"TRADING\",class=\"malformed\"} 1")
        .await?;
    worker.stops().await
}

#[tokio::test]
async fn a_dead_letter_too_long_for_the_broker_holds_back_no_other() -> Result<()> {
    let nats = NatsSettings {
        more: "max_payload: 16384".to_owned(),
        ..NatsSettings::default()
    };
    let world = World::with_nats(nats).await?;
    let context = world.context();
    let mut lane = seize(context.clone(), world.own_lane().await?).await?;
    world.send_bytes("first").await?;
    world.send_bytes("second").await?;
    drain(&mut lane).await?;
    // As if stored when the limit of the broker was higher.
    let longer = "UPDATE dead_letters SET payload = convert_to(repeat('x', 20000), 'UTF8') WHERE payload = 'first'";
    world.execute(longer).await?;
    create_stream(&world).await?;

    assert_eq!(publish_some(&context).await?, 2);

    world.expect_rows(UNPUBLISHED, 0).await?;
    let copies = [copy(&world, 1).await?, copy(&world, 2).await?];
    let is_short = |copy: &&StreamMessage| copy.payload == "second";
    let short = copies.iter().find(is_short).context("no short one")?;
    let long = copies
        .iter()
        .find(|copy| !is_short(copy))
        .context("no long one")?;
    assert!(header(short, "Tiris-Payload-Omitted").is_err());
    assert_eq!(long.payload, "");
    assert_eq!(header(long, "Tiris-Payload-Omitted")?, "20000 bytes");
    Ok(())
}

#[tokio::test]
async fn an_unacknowledged_dead_letter_is_published_later() -> Result<()> {
    let world = World::new().await?;
    let context = world.context();
    let mut lane = seize(context.clone(), world.own_lane().await?).await?;
    world.send_bytes("no event").await?;
    drain(&mut lane).await?;

    // The stream does not exist yet, so the broker does not acknowledge.
    let published = publish_some(&context).await;
    ensure!(published.is_err(), "{published:?}");
    world.expect_rows(UNPUBLISHED, 1).await?;

    create_stream(&world).await?;
    assert_eq!(publish_some(&context).await?, 1);
    world.expect_rows(UNPUBLISHED, 0).await?;
    assert_eq!(publish_some(&context).await?, 0);
    Ok(())
}

#[tokio::test]
async fn publishes_dead_letters_of_own_and_removed_lanes() -> Result<()> {
    let world = World::new().await?;
    let mut lane = seize(world.context(), world.own_lane().await?).await?;
    world.send_bytes("no event").await?;
    drain(&mut lane).await?;
    create_stream(&world).await?;

    let other = world.context();
    assert_eq!(publish_some(&other).await?, 0);

    world.execute("UPDATE dead_letters SET lane = 99").await?;
    assert_eq!(publish_some(&other).await?, 1);
    Ok(())
}
