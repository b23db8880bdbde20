//! Dead letters in the replay of a range.

use super::job::{everything, find, replay, request, skip_all};
use crate::world::{World, drain};
use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tiris_domain::event::Kind;
use tiris_store::replay_jobs::NewJob;
use uuid::Uuid;

/// Returns the time at which the stream stored a message.
async fn time_of(world: &World, sequence: u64) -> Result<DateTime<Utc>> {
    let stream = world.jetstream().get_stream("TRADING").await?;
    let time = stream.get_raw_message(sequence).await?.time;
    let nanos = i64::try_from(time.unix_timestamp_nanos())?;
    Ok(DateTime::from_timestamp_nanos(nanos))
}

#[tokio::test]
async fn events_behind_a_dead_letter_outside_the_range_keep_waiting() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let early = Uuid::now_v7();
    world.send(&world.credit(early, "BNB", "5")).await?;
    world.send(&world.fill_with_fee("1", "0.5", early)).await?;
    drain(&mut lane).await?;
    // A missing event behind both, through an account that only the second names.
    let last = world.send(&world.btc_credit("1")).await?;
    skip_all(&world).await?;

    let later = NewJob {
        start_time: time_of(&world, last - 1).await?,
        ..everything()
    };
    let done = replay(&world, &later).await?;
    assert_eq!(done, "0 applied, 0 duplicate, 2 rejected");
    world.expect_dead_letters("BEHIND_UNRESOLVED", 2).await?;

    // With the blocking dead letter in the range, all are retried in order.
    world.open_account(early, "BNB").await?;
    let done = replay(&world, &everything()).await?;
    assert_eq!(done, "3 applied, 1 duplicate, 0 rejected");
    assert_eq!(world.btc().await?, "1.5");
    assert_eq!(world.balance(early).await?, "4");
    world.expect_open(0).await
}

#[tokio::test]
async fn an_unexpected_failure_sets_a_single_event_aside() -> Result<()> {
    let world = World::new().await?;
    world.lane().await?;
    world.fail_on_boom().await?;
    world.send_credits(4).await?;
    world.send(&world.boom("1")).await?;
    world.send_credits(2).await?;
    skip_all(&world).await?;

    let done = replay(&world, &everything()).await?;

    assert_eq!(done, "6 applied, 1 duplicate, 1 rejected");
    assert_eq!(world.btc().await?, "7");
    world.expect_dead_letters("INTERNAL", 1).await
}

fn order_created(world: &World, id: &str) -> Value {
    let fields = json!({
        "sub_account_id": world.stock,
        "order_id": id,
        "symbol": "ETH/BTC",
        "side": "buy",
        "type": "limit",
        "amount": "1",
        "price": "1",
        "status": "created",
    });
    world.event(Kind::OrderCreated, fields)
}

#[tokio::test]
async fn a_replay_of_one_type_never_overtakes_a_dead_letter() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let unknown = world.fill_with_fee("1", "0.5", Uuid::now_v7());
    let orders = [order_created(&world, "o-1"), order_created(&world, "o-2")];
    let [first, second] = orders;
    world.send_all(&[first, unknown, second]).await?;
    drain(&mut lane).await?;
    world.expect_rows("dead_letters WHERE blocks", 2).await?;

    let orders = NewJob {
        kinds: Some(vec![Kind::OrderCreated]),
        ..everything()
    };
    let done = replay(&world, &orders).await?;

    assert_eq!(done, "0 applied, 1 duplicate, 1 rejected");
    let created = "trading_logs WHERE type = 'order_created'";
    world.expect_rows(created, 1).await?;
    world.expect_rows("dead_letters WHERE blocks", 2).await
}

#[tokio::test]
async fn a_dead_letter_refused_by_a_replay_waits_for_an_operator() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let late = Uuid::now_v7();
    let too_early = world.debit(late, "BNB", "100");
    let credit = world.credit(late, "BNB", "100");
    world.send_all(&[too_early, credit]).await?;
    drain(&mut lane).await?;

    world.open_account(late, "BNB").await?;
    let done = replay(&world, &everything()).await?;

    assert_eq!(done, "1 applied, 1 duplicate, 1 rejected");
    assert_eq!(world.balance(late).await?, "100");
    world.expect_open(1).await?;
    let refused = "dead_letters WHERE code = 'INSUFFICIENT_BALANCE' AND NOT blocks";
    world.expect_rows(refused, 1).await?;
    // The lane does not retry it.
    world
        .execute(
            "UPDATE dead_letters SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL",
        )
        .await?;
    drain(&mut lane).await?;
    assert_eq!(world.balance(late).await?, "100");
    Ok(())
}

#[tokio::test]
async fn discarded_events_stay_discarded() -> Result<()> {
    let world = World::new().await?;
    world.fail_on_boom().await?;
    let mut lane = world.lane().await?;
    let event = world.boom("5");
    world.send(&event).await?;
    drain(&mut lane).await?;
    world.expect_events("dead", 1).await?;
    let id = world.dead_letter("INTERNAL").await?;
    world.discard(id).await?;
    world
        .execute("DROP TRIGGER explode ON trading_logs")
        .await?;

    let done = replay(&world, &everything()).await?;
    assert_eq!(done, "0 applied, 2 duplicate, 0 rejected");

    world.send(&event).await?;
    drain(&mut lane).await?;
    assert_eq!(world.btc().await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_refused_malformed_dead_letter_claims_no_event() -> Result<()> {
    let world = World::new().await?;
    world.lane().await?;
    let event = world.btc_debit("5");
    world.send_bare(&event).await?;
    world
        .run_with(world.refusing(), "the dead letter", async || {
            world.expect_dead_letters("BARE_SUBJECT", 1).await
        })
        .await?;

    // By a worker that accepts subjects without a user.
    let done = replay(&world, &everything()).await?;
    assert_eq!(done, "0 applied, 1 duplicate, 1 rejected");
    world.expect_events("dead", 0).await?;

    // The event is published correctly when it can be applied.
    let mut lane = world.lane().await?;
    world.send_all(&[world.btc_credit("9"), event]).await?;
    drain(&mut lane).await?;
    assert_eq!(world.btc().await?, "6");
    Ok(())
}

/// Returns an event that assumes a balance of 7.
fn assuming_seven(mut event: Value) -> Value {
    event["new_balance"] = json!("7");
    event
}

#[tokio::test]
async fn the_drift_of_a_retried_or_replayed_event_is_counted_once() -> Result<()> {
    let world = World::new().await?;
    let mut worker = world.worker()?;
    let early = Uuid::now_v7();
    let counted = |count: u32| format!("ledger_drift_total{{kind=\"balance\"}} {count}");

    let unknown = assuming_seven(world.credit(early, "BNB", "2"));
    let too_much = assuming_seven(world.btc_debit("2"));
    world.send_all(&[unknown, too_much]).await?;
    world.rows_reach("dead_letters", 2).await?;
    worker.counts(&counted(0)).await?;
    world.open_account(early, "BNB").await?;
    world.balance_reaches(early, "2").await?;
    worker.counts(&counted(1)).await?;

    world.send_credits(5).await?;
    world.btc_reaches("5").await?;
    let job = request(&world, &everything()).await?;
    world.btc_reaches("3").await?;
    worker.counts(&counted(2)).await?;
    ensure!(find(&world, job).await?.applied == 1, "the debit");
    worker.stops().await
}
