//! What could not be resolved is tried again by the lane, in order, and what comes later waits behind it.

use crate::world::{LANES, World, drain};
use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::time::Duration;
use tiris_domain::event::Kind;
use tiris_domain::lane::EventStream;
use tiris_ingest::lane::{Lane, Step};
use tiris_store::dead_letters::{self, Actor, discard};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Steps until something is true, at most; each waits a second at most.
const STEPS_MAX: u32 = 60;

/// How long a letter waits before each try.
const WAIT_SECONDS: [u64; 5] = [1, 5, 30, 300, 3_600];

async fn step_until(
    lane: &mut Lane,
    what: &str,
    mut done: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let stop = CancellationToken::new();
    for _ in 0..STEPS_MAX {
        if done().await? {
            return Ok(());
        }
        let step = lane.step(&stop).await;
        ensure!(
            matches!(
                step,
                Step::Committed(_) | Step::Narrowed | Step::Followed | Step::Idle
            ),
            "{step:?} while waiting for {what}"
        );
    }
    anyhow::bail!("{what}: not after {STEPS_MAX} steps")
}

/// Makes every letter that waits for its time due now.
async fn hurry(world: &World) -> Result<()> {
    sqlx::query(
        "UPDATE dead_letters SET next_attempt_at = now() - interval '1 s' WHERE next_attempt_at IS NOT NULL",
    )
    .execute(world.pool())
    .await?;
    Ok(())
}

async fn open(world: &World) -> Result<i64> {
    world
        .count("SELECT count(*) FROM dead_letters WHERE status = 'open'")
        .await
}

/// Code and status of every letter, in stream order.
async fn letters(world: &World) -> Result<Vec<(String, String)>> {
    let rows = sqlx::query_as("SELECT code, status FROM dead_letters ORDER BY stream_seq")
        .fetch_all(world.pool());
    Ok(rows.await?)
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(code, status)| ((*code).to_owned(), (*status).to_owned()))
        .collect()
}

/// The user's lane, which has done nothing yet but a credit of 1 BTC.
async fn a_lane(world: &World) -> Result<Lane> {
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    drain(&mut lane).await;
    Ok(lane)
}

fn debit(world: &World, account: Uuid, symbol: &str, amount: &str) -> Value {
    let mut event = world.credit(account, symbol, amount);
    event["direction"] = json!("debit");
    event
}

async fn send_all(world: &World, events: &[Value]) -> Result<()> {
    for event in events {
        world.send(Kind::BalanceUpdated, event).await?;
    }
    Ok(())
}

#[tokio::test]
async fn events_of_an_account_made_later_are_applied_in_order_and_others_are_not_kept_waiting()
-> Result<()> {
    let world = World::new().await?;
    let mut lane = a_lane(&world).await?;
    let (early, other) = (Uuid::now_v7(), Uuid::now_v7());
    world.add_trading(world.user, other).await?;
    let other_account = Uuid::now_v7();
    world
        .add_account(world.user, other, other_account, "BTC")
        .await?;
    let mut elsewhere = world.credit(other_account, "BTC", "1");
    elsewhere["trading_id"] = json!(other);
    let events = [
        world.credit(early, "BNB", "5"),
        debit(&world, early, "BNB", "3"),
        world.credit(world.currency, "BTC", "2"),
        elsewhere,
    ];
    send_all(&world, &events).await?;
    drain(&mut lane).await;
    let behind = ("BEHIND_UNRESOLVED", "open");
    assert_eq!(
        letters(&world).await?,
        pairs(&[("UNKNOWN_SUB_ACCOUNT", "open"), behind, behind])
    );
    assert_eq!(world.balance(other_account).await?, "1");
    // What comes now waits too, also in a batch of its own.
    world
        .send(
            Kind::BalanceUpdated,
            &debit(&world, world.currency, "BTC", "0.5"),
        )
        .await?;
    step_until(&mut lane, "four letters", async || {
        Ok(open(&world).await? == 4)
    })
    .await?;
    assert_eq!(world.balance(world.currency).await?, "1");
    world
        .add_account(world.user, world.trading, early, "BNB")
        .await?;
    hurry(&world).await?;
    step_until(&mut lane, "no open letter", async || {
        Ok(open(&world).await? == 0)
    })
    .await?;
    let order: Vec<String> = sqlx::query_scalar(
        "SELECT event_id FROM transactions WHERE trading_id = $1 ORDER BY timestamp, id",
    )
    .bind(world.trading)
    .fetch_all(world.pool())
    .await?;
    assert_eq!(order, ["e-0000", "e-0002", "e-0003", "e-0004", "e-0005"]);
    assert_eq!(
        (
            world.balance(early).await?,
            world.balance(world.currency).await?
        ),
        ("2".into(), "2.5".into())
    );
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE status = 'replayed'",
            4,
        )
        .await?;
    world
        .expect_count(
            "SELECT count(*) FROM processed_events WHERE outcome <> 'applied'",
            0,
        )
        .await?;
    // Sent again, they are duplicates.
    send_all(&world, &events).await?;
    drain(&mut lane).await;
    world
        .expect_count("SELECT count(*) FROM transactions", 6)
        .await?;
    world
        .expect_count("SELECT count(*) FROM dead_letters", 4)
        .await
}

#[tokio::test]
async fn an_event_that_never_resolves_is_tried_five_times_and_then_keeps_nobody_waiting()
-> Result<()> {
    let world = World::new().await?;
    let mut lane = a_lane(&world).await?;
    send_all(
        &world,
        &[
            world.credit(Uuid::now_v7(), "BTC", "1"),
            world.credit(world.currency, "BTC", "2"),
        ],
    )
    .await?;
    drain(&mut lane).await;
    let mut made = 0;
    while made < WAIT_SECONDS.len() {
        let (attempts, next, since): (i32, DateTime<Utc>, DateTime<Utc>) = sqlx::query_as(
            "SELECT attempts, next_attempt_at, updated_at FROM dead_letters WHERE code = 'UNKNOWN_SUB_ACCOUNT'",
        )
        .fetch_one(world.pool())
        .await?;
        made = usize::try_from(attempts)?;
        let (wait, expected) = (
            (next - since).to_std()?,
            Duration::from_secs(WAIT_SECONDS[made]),
        );
        ensure!(
            wait.abs_diff(expected) < Duration::from_millis(500),
            "waits {wait:?} after {made} tries"
        );
        hurry(&world).await?;
        made += 1;
        step_until(&mut lane, "another try", async || {
            let now = world.count(
                "SELECT attempts::int8 FROM dead_letters WHERE code = 'UNKNOWN_SUB_ACCOUNT'",
            );
            Ok(usize::try_from(now.await?)? >= made)
        })
        .await?;
    }
    step_until(&mut lane, "the event behind", async || {
        Ok(world.balance(world.currency).await? == "3")
    })
    .await?;
    assert_eq!(
        letters(&world).await?,
        pairs(&[
            ("UNKNOWN_SUB_ACCOUNT", "open"),
            ("BEHIND_UNRESOLVED", "replayed")
        ])
    );
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE blocks OR next_attempt_at IS NOT NULL",
            0,
        )
        .await?;
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "1"),
        )
        .await?;
    drain(&mut lane).await;
    assert_eq!(world.balance(world.currency).await?, "4");
    Ok(())
}

#[tokio::test]
async fn a_disabled_users_events_wait_for_the_enable_however_long_it_takes() -> Result<()> {
    let world = World::new().await?;
    let mut lane = a_lane(&world).await?;
    let set = async |status: &'static str| -> Result<()> {
        sqlx::query("UPDATE users SET status = $2 WHERE id = $1")
            .bind(world.user)
            .bind(status)
            .execute(world.pool())
            .await?;
        Ok(())
    };
    set("disabled").await?;
    send_all(
        &world,
        &[
            world.credit(world.currency, "BTC", "2"),
            debit(&world, world.currency, "BTC", "1"),
        ],
    )
    .await?;
    drain(&mut lane).await;
    assert_eq!(
        letters(&world).await?,
        pairs(&[("USER_DISABLED", "open"), ("BEHIND_UNRESOLVED", "open")])
    );
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE next_attempt_at IS NOT NULL",
            0,
        )
        .await?;
    set("active").await?;
    step_until(&mut lane, "no open letter", async || {
        Ok(open(&world).await? == 0)
    })
    .await?;
    assert_eq!(world.balance(world.currency).await?, "2");
    Ok(())
}

#[tokio::test]
async fn a_letter_given_up_by_a_person_or_refused_for_good_keeps_nobody_waiting() -> Result<()> {
    let world = World::new().await?;
    let mut lane = a_lane(&world).await?;
    let early = Uuid::now_v7();
    let lost = world.credit(Uuid::now_v7(), "BTC", "7");
    let events = [
        lost.clone(),
        debit(&world, early, "BNB", "3"),
        world.credit(world.currency, "BTC", "2"),
    ];
    send_all(&world, &events).await?;
    drain(&mut lane).await;
    world
        .add_account(world.user, world.trading, early, "BNB")
        .await?;
    let first: Uuid =
        sqlx::query_scalar("SELECT id FROM dead_letters WHERE code = 'UNKNOWN_SUB_ACCOUNT'")
            .fetch_one(world.pool())
            .await?;
    let mut transaction = world.pool().begin().await?;
    discard(
        &mut transaction,
        first,
        "sold elsewhere",
        &Actor::Operator("alice".into()),
    )
    .await?;
    transaction.commit().await?;
    step_until(&mut lane, "the last event", async || {
        Ok(world.balance(world.currency).await? == "3")
    })
    .await?;
    let expected = [
        ("UNKNOWN_SUB_ACCOUNT", "discarded"),
        ("INSUFFICIENT_BALANCE", "open"),
        ("BEHIND_UNRESOLVED", "replayed"),
    ];
    assert_eq!(letters(&world).await?, pairs(&expected));
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE class = 'rejected' AND NOT blocks",
            1,
        )
        .await?;
    world
        .expect_count(
            "SELECT count(*) FROM processed_events WHERE outcome = 'discarded'",
            1,
        )
        .await?;
    // The discarded event counts as done.
    world.send(Kind::BalanceUpdated, &lost).await?;
    drain(&mut lane).await;
    world
        .expect_count("SELECT count(*) FROM dead_letters", 3)
        .await
}

#[tokio::test]
async fn a_letter_that_fails_for_an_unforeseen_reason_is_put_aside_alone() -> Result<()> {
    let world = World::new().await?;
    let mut lane = a_lane(&world).await?;
    let early = Uuid::now_v7();
    let mut odd = world.credit(early, "BNB", "1");
    odd["reason"] = json!("boom");
    let events = [
        world.credit(early, "BNB", "5"),
        odd,
        world.credit(early, "BNB", "2"),
    ];
    send_all(&world, &events).await?;
    drain(&mut lane).await;
    sqlx::raw_sql("ALTER TABLE transactions ADD CONSTRAINT no_boom CHECK (reason <> 'boom')")
        .execute(world.pool())
        .await?;
    world
        .add_account(world.user, world.trading, early, "BNB")
        .await?;
    hurry(&world).await?;
    step_until(&mut lane, "one open letter", async || {
        Ok(open(&world).await? == 1)
    })
    .await?;
    assert_eq!(world.balance(early).await?, "7");
    assert_eq!(
        letters(&world).await?[1],
        ("INTERNAL".to_owned(), "open".to_owned())
    );
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE reason LIKE '%no_boom%'",
            1,
        )
        .await
}

#[tokio::test]
async fn letters_that_waited_as_long_behind_another_are_given_up_with_it() -> Result<()> {
    let world = World::new().await?;
    let mut lane = a_lane(&world).await?;
    let gone = Uuid::now_v7();
    let events: Vec<Value> = (0..5).map(|_| world.credit(gone, "BNB", "1")).collect();
    send_all(&world, &events).await?;
    send_all(&world, &[world.credit(world.currency, "BTC", "1")]).await?;
    drain(&mut lane).await;
    assert_eq!(open(&world).await?, 6);
    // The last try of the first is due, and all have waited for longer than all tries take.
    sqlx::query(
        "UPDATE dead_letters SET created_at = now() - interval '2 hours', \
         attempts = CASE WHEN code = 'BEHIND_UNRESOLVED' THEN 0 ELSE 4 END, \
         next_attempt_at = CASE WHEN code = 'BEHIND_UNRESOLVED' THEN NULL ELSE now() END",
    )
    .execute(world.pool())
    .await?;
    step_until(&mut lane, "the credit", async || {
        Ok(world.balance(world.currency).await? == "2")
    })
    .await?;
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE code = 'UNKNOWN_SUB_ACCOUNT' AND NOT blocks",
            5,
        )
        .await
}

#[tokio::test]
async fn letters_that_wait_find_their_users_lane_again_when_the_number_of_lanes_was_changed()
-> Result<()> {
    let world = World::new().await?;
    let mut lane = a_lane(&world).await?;
    let early = Uuid::now_v7();
    send_all(&world, &[world.credit(early, "BNB", "5")]).await?;
    drain(&mut lane).await;
    sqlx::query("UPDATE dead_letters SET lane = 7")
        .execute(world.pool())
        .await?;
    world
        .add_account(world.user, world.trading, early, "BNB")
        .await?;
    hurry(&world).await?;
    assert_eq!(
        dead_letters::rehome(world.pool(), EventStream::Trading, LANES).await?,
        1
    );
    assert_eq!(
        dead_letters::rehome(world.pool(), EventStream::Trading, LANES).await?,
        0
    );
    step_until(&mut lane, "the credit", async || {
        Ok(world.balance(early).await? == "5")
    })
    .await
}
