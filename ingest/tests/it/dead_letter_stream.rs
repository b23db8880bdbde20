//! Copies of dead letters in the stream `TRADING_DLQ`: at least once, marked when acknowledged.

use crate::process::Worker;
use crate::world::{WAIT, World, drain};
use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::message::StreamMessage;
use serde_json::json;
use tiris_domain::event::Kind;
use tiris_ingest::dead_letters::{NAME, publish_some};
use tiris_ingest::lane::Lane;
use tiris_testing::{NatsSettings, eventually};

const UNPUBLISHED: &str = "SELECT count(*) FROM dead_letters WHERE published_at IS NULL";

async fn copy(world: &World, sequence: u64) -> Result<StreamMessage> {
    Ok(world
        .jetstream()
        .get_stream(NAME)
        .await?
        .get_raw_message(sequence)
        .await?)
}

fn header(message: &StreamMessage, name: &str) -> Result<String> {
    Ok(message
        .headers
        .get(name)
        .with_context(|| format!("no header {name}"))?
        .as_str()
        .to_owned())
}

#[tokio::test]
async fn a_worker_publishes_each_letter_with_its_reason_and_without_a_payload_that_is_too_long()
-> Result<()> {
    let world = World::new().await?;
    let mut worker = Worker::start(world.database.url(), &world.nats.url())?;
    worker.ready().await?;
    let mut event = world.credit(world.currency, "BTC", "5");
    event["direction"] = json!("debit");
    world.send(Kind::BalanceUpdated, &event).await?;
    let subject = Kind::BalanceUpdated.subject_of(world.user);
    world.publish_bytes(&subject, vec![b'x'; 65 * 1024]).await?;
    eventually("two published letters", WAIT, async || {
        world
            .expect_count(
                "SELECT count(*) FROM dead_letters WHERE published_at IS NOT NULL",
                2,
            )
            .await
    })
    .await?;
    let first = copy(&world, 1).await?;
    ensure!(
        first.subject.starts_with("dlq.trading.balance.updated."),
        "{}",
        first.subject
    );
    assert_eq!(first.payload, event.to_string().as_bytes());
    assert_eq!(header(&first, "Tiris-Code")?, "INSUFFICIENT_BALANCE");
    assert_eq!(header(&first, "Tiris-Class")?, "rejected");
    assert_eq!(
        header(&first, "Tiris-Event-Id")?,
        event["event_id"].as_str().context("an id")?
    );
    let second = copy(&world, 2).await?;
    assert!(second.payload.is_empty());
    assert_eq!(header(&second, "Tiris-Payload-Omitted")?, "66560 bytes");
    worker
        .counts("ingest_dead_letters_open{stream=\"TRADING\",class=\"malformed\"} 1")
        .await?;
    worker.stops().await
}

#[tokio::test]
async fn a_letter_the_broker_finds_too_long_holds_back_no_other() -> Result<()> {
    let more = "max_payload: 16384".to_owned();
    let world = World::with_nats(NatsSettings {
        more,
        ..NatsSettings::default()
    })
    .await?;
    let context = world.context();
    let mut lane = Lane::seize(context.clone(), world.own_lane().await?).await?;
    for text in ["first", "second"] {
        world
            .publish_bytes(
                &Kind::BalanceUpdated.subject_of(world.user),
                text.as_bytes().to_vec(),
            )
            .await?;
    }
    drain(&mut lane).await;
    // Taken when the broker's limit was higher.
    let longer = "UPDATE dead_letters SET payload = convert_to(repeat('x', 20000), 'UTF8') WHERE payload = 'first'";
    assert_eq!(
        sqlx::query(longer)
            .execute(world.pool())
            .await?
            .rows_affected(),
        1
    );
    let subjects = vec!["dlq.trading.>".to_owned()];
    let config = async_nats::jetstream::stream::Config {
        name: NAME.to_owned(),
        subjects,
        ..Default::default()
    };
    world.jetstream().create_stream(config).await?;
    assert_eq!(publish_some(&context).await?, 2);
    world.expect_count(UNPUBLISHED, 0).await?;
    let mut omitted = Vec::new();
    for sequence in 1..=2 {
        let copy = copy(&world, sequence).await?;
        omitted.push((
            copy.payload.len(),
            header(&copy, "Tiris-Payload-Omitted").ok(),
        ));
    }
    omitted.sort();
    assert_eq!(
        omitted,
        [(0, Some("20000 bytes".to_owned())), ("second".len(), None)]
    );
    Ok(())
}

#[tokio::test]
async fn what_the_broker_did_not_acknowledge_is_published_when_it_does() -> Result<()> {
    let world = World::new().await?;
    let context = world.context();
    let mut lane = Lane::seize(context.clone(), world.own_lane().await?).await?;
    world
        .publish_bytes(
            &Kind::BalanceUpdated.subject_of(world.user),
            b"no event".to_vec(),
        )
        .await?;
    drain(&mut lane).await;
    // There is no such stream yet, so nobody acknowledges.
    ensure!(publish_some(&context).await.is_err(), "published to nobody");
    world.expect_count(UNPUBLISHED, 1).await?;
    let subjects = vec!["dlq.trading.>".to_owned()];
    let config = async_nats::jetstream::stream::Config {
        name: NAME.to_owned(),
        subjects,
        ..Default::default()
    };
    world.jetstream().create_stream(config).await?;
    assert_eq!(publish_some(&context).await?, 1);
    world.expect_count(UNPUBLISHED, 0).await?;
    assert_eq!(publish_some(&context).await?, 0);
    // Another worker's lanes are not ours to publish.
    sqlx::query("UPDATE dead_letters SET published_at = NULL")
        .execute(world.pool())
        .await?;
    assert_eq!(publish_some(&world.context()).await?, 0);
    // Lanes that are no more have nobody else.
    sqlx::query("UPDATE dead_letters SET lane = 99")
        .execute(world.pool())
        .await?;
    assert_eq!(publish_some(&world.context()).await?, 1);
    Ok(())
}
