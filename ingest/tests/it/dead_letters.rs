//! Every kind of bad event becomes a dead letter with its payload, code and class, and holds up no other event.

mod bad;

use self::bad::{Bad, malformed, refused};
use crate::world::World;
use anyhow::{Context, Result, ensure};
use tiris_domain::event::Kind;
use uuid::Uuid;

/// The stored dead letter of a message.
#[derive(Debug, sqlx::FromRow)]
struct DeadLetter {
    code: String,
    class: String,
    payload: Vec<u8>,
    status: String,
    attempts: i32,
    event_id: Option<String>,
    user_id: Option<Uuid>,
    trading_id: Option<Uuid>,
}

impl DeadLetter {
    async fn of_message(world: &World, sequence: u64) -> Result<Self> {
        sqlx::query_as(
            "SELECT code, class, payload, status, attempts, event_id, user_id, trading_id FROM dead_letters WHERE stream_seq = $1",
        )
        .bind(i64::try_from(sequence)?)
        .fetch_one(world.pool())
        .await
        .with_context(|| format!("message {sequence}"))
    }

    fn is_of(&self, bad: &Bad) {
        assert_eq!(self.code, bad.code, "{self:?}");
        assert_eq!(self.class, bad.class, "{self:?}");
        assert_eq!(self.payload, bad.payload, "{self:?}");
        assert_eq!(self.status, "open", "{self:?}");
        let tried_again = self.attempts != 0;
        assert!(!tried_again || bad.class == "unresolved", "{self:?}");

        let is_parsed = bad.code != "NOT_JSON";
        assert_eq!(self.event_id.is_some(), is_parsed, "{self:?}");
        assert_eq!(self.trading_id.is_some(), is_parsed, "{self:?}");
        assert_eq!(self.user_id, bad.publisher(), "{self:?}");
    }
}

/// Publishes bad messages among good events, and waits for all dead letters and postings.
async fn every_bad_event_becomes_a_dead_letter(world: &World, bad: &[Bad]) -> Result<()> {
    let mut sequences = Vec::new();
    for eight in bad.chunks(8) {
        for message in eight {
            let payload = message.payload.clone();
            let stored = world.publish_bytes(&message.subject, payload).await?;
            sequences.push(stored.sequence);
        }
        world.send(&world.btc_credit("0.01")).await?;
    }

    let good = i64::try_from(bad.len().div_ceil(8))?;
    let letters = i64::try_from(bad.len())?;
    world
        .run_until("all dead letters and all good events", async || {
            world.expect_rows("dead_letters", letters).await?;
            world.expect_rows("transactions", good).await
        })
        .await?;

    for (sequence, message) in sequences.into_iter().zip(bad) {
        DeadLetter::of_message(world, sequence)
            .await?
            .is_of(message);
    }
    world.expect_events("applied", good).await
}

#[tokio::test]
async fn malformed_events_become_dead_letters_and_claim_no_id() -> Result<()> {
    let world = World::new().await?;

    every_bad_event_becomes_a_dead_letter(&world, &malformed(&world)).await?;

    world.expect_events("dead", 0).await
}

#[tokio::test]
async fn refused_events_become_dead_letters_and_claim_their_ids() -> Result<()> {
    let world = World::new().await?;
    let bad = refused(&world).await?;

    every_bad_event_becomes_a_dead_letter(&world, &bad).await?;

    let claims = i64::try_from(bad.len())?;
    world.expect_events("dead", claims).await
}

#[tokio::test]
async fn a_subject_without_a_user_is_accepted_or_refused_as_set() -> Result<()> {
    let world = World::new().await?;

    world.send_bare(&world.btc_credit("1")).await?;
    world
        .run_until("one posting", async || {
            world.expect_rows("transactions", 1).await
        })
        .await?;
    world.send_bare(&world.btc_credit("1")).await?;
    world
        .run_with(world.refusing(), "one dead letter", async || {
            world.expect_dead_letters("BARE_SUBJECT", 1).await
        })
        .await?;

    assert_eq!(world.btc().await?, "1");
    Ok(())
}

#[tokio::test]
async fn an_event_outside_the_years_1_to_9999_books_nothing() -> Result<()> {
    let world = World::new().await?;

    for timestamp in ["9999-12-31T23:59:59-12:00", "0000-01-01T00:00:00+12:00"] {
        let mut event = world.btc_credit("1");
        event["timestamp"] = timestamp.into();
        world.send(&event).await?;
    }
    world
        .run_until("two dead letters", async || {
            let named = "dead_letters WHERE code = 'INVALID_VALUE' AND reason LIKE '%timestamp%'";
            world.expect_rows(named, 2).await
        })
        .await?;

    world.expect_rows("transactions", 0).await
}

#[tokio::test]
async fn the_stream_refuses_a_message_that_is_too_long() -> Result<()> {
    let world = World::new().await?;
    let subject = Kind::BalanceUpdated.subject_of(world.user);

    let published = world.publish_bytes(&subject, vec![b' '; 69 * 1024]).await;

    ensure!(published.is_err(), "69 KiB were taken");
    Ok(())
}
