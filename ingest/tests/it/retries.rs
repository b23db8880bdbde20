//! Unresolved events are retried by the lane in order, and later events wait behind them.

mod turns;

use crate::world::{Account, LANES, World, advances, drain};
use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::time::Duration;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_ingest::lane::Lane;
use tiris_store::dead_letters;
use uuid::Uuid;

/// Maximum number of steps until a condition holds; each waits at most a second.
const STEPS_MAX: u32 = 60;

/// Waits in seconds before each retry.
const WAITS: [u64; 3] = [1, 5, 30];

async fn step_until(
    lane: &mut Lane,
    what: &str,
    mut done: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    for _ in 0..STEPS_MAX {
        if done().await? {
            return Ok(());
        }
        advances(lane).await?;
    }
    anyhow::bail!("{what}: not after {STEPS_MAX} steps")
}

async fn step_until_btc(world: &World, lane: &mut Lane, expected: &str) -> Result<()> {
    step_until(lane, "the balance", async || {
        Ok(world.btc().await? == expected)
    })
    .await
}

async fn step_until_open(world: &World, lane: &mut Lane, expected: i64) -> Result<()> {
    step_until(lane, "open dead letters", async || {
        let open = world.count("dead_letters WHERE status = 'open'").await?;
        Ok(open == expected)
    })
    .await
}

/// Makes the next retry of every dead letter due.
async fn make_due(world: &World) -> Result<()> {
    world
        .execute("UPDATE dead_letters SET next_attempt_at = now() - interval '1 s' WHERE next_attempt_at IS NOT NULL")
        .await
}

/// Returns code and status of every dead letter, in stream order.
async fn codes_and_statuses(world: &World) -> Result<Vec<String>> {
    let sql = "SELECT code || ' ' || status FROM dead_letters ORDER BY stream_seq";
    let rows = sqlx::query_scalar(sql).fetch_all(world.pool());
    Ok(rows.await?)
}

/// Returns the numbers of open dead letters of each class, and of those that count as recent.
async fn open_and_recent(world: &World) -> Result<Vec<(i64, i64)>> {
    let mut connection = world.service.acquire().await?;
    let lanes = (0..=LANES).map(|lane| LaneKey {
        stream: EventStream::Trading,
        lane,
    });
    let counts = dead_letters::count_by_class(&mut connection, &Vec::from_iter(lanes)).await?;

    let pairs = counts.iter().map(|count| (count.count, count.recent));
    Ok(pairs.collect())
}

/// Returns the event ids of the trading's postings, in the order of the books.
async fn booked(world: &World) -> Result<Vec<String>> {
    let sql = "SELECT event_id FROM transactions WHERE trading_id = $1 ORDER BY timestamp, id";
    let ids = sqlx::query_scalar(sql).bind(world.trading);
    Ok(ids.fetch_all(world.pool()).await?)
}

/// Returns a credit of 1 BTC to an account of another trading of the user.
async fn elsewhere(world: &World, account: Uuid) -> Result<Value> {
    let trading = Uuid::now_v7();
    world.add_trading(world.user, trading).await?;
    world
        .add_account(Account {
            user: world.user,
            trading,
            id: account,
            symbol: "BTC",
        })
        .await?;
    let mut event = world.credit(account, "BTC", "1");
    event["trading_id"] = json!(trading);
    Ok(event)
}

#[tokio::test]
async fn later_events_of_an_account_wait_and_those_of_others_do_not() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let early = Uuid::now_v7();
    let other = Uuid::now_v7();
    let events = [
        world.credit(early, "BNB", "5"),
        world.debit(early, "BNB", "3"),
        world.btc_credit("2"),
        elsewhere(&world, other).await?,
    ];

    world.send_all(&events).await?;
    drain(&mut lane).await?;

    let expected = ["UNKNOWN_SUB_ACCOUNT open", "BEHIND_UNRESOLVED open"];
    assert_eq!(codes_and_statuses(&world).await?, expected);
    let named = format!("dead_letters WHERE reason LIKE '%{early}'");
    world.expect_rows(&named, 1).await?;
    assert_eq!(world.btc().await?, "3");
    assert_eq!(world.balance(other).await?, "1");

    // A later event waits too, also in a batch of its own.
    world.send(&world.debit(early, "BNB", "1")).await?;
    world.send(&world.btc_debit("0.5")).await?;
    step_until_open(&world, &mut lane, 3).await?;
    step_until_btc(&world, &mut lane, "2.5").await
}

#[tokio::test]
async fn events_of_an_account_created_later_are_applied_in_order() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let early = Uuid::now_v7();
    let events = [
        world.credit(early, "BNB", "5"),
        world.fill_with_fee("1", "0.5", early),
        // It waits behind the fill, although it names other accounts than the first event.
        world.btc_credit("2"),
        world.btc_debit("0.5"),
    ];
    world.send_all(&events).await?;
    drain(&mut lane).await?;
    world.expect_open(4).await?;

    world.open_account(early, "BNB").await?;
    make_due(&world).await?;
    step_until_open(&world, &mut lane, 0).await?;

    let mut order = booked(&world).await?;
    order.dedup();
    assert_eq!(order, ["e-0000", "e-0001", "e-0002", "e-0003", "e-0004"]);
    assert_eq!(world.balance(early).await?, "4");
    assert_eq!(world.btc().await?, "2");
    let replayed = "dead_letters WHERE status = 'replayed' AND closed_at IS NOT NULL";
    world.expect_rows(replayed, 4).await?;
    let others = "processed_events WHERE outcome <> 'applied'";
    world.expect_rows(others, 0).await?;

    // Sent again, they are duplicates.
    let postings = world.count("transactions").await?;
    world.send_all(&events).await?;
    drain(&mut lane).await?;
    world.expect_rows("transactions", postings).await?;
    world.expect_rows("dead_letters", 4).await
}

#[tokio::test]
async fn events_of_a_waiting_account_are_retried_when_their_own_account_is_free() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let never = Uuid::now_v7();
    let early = Uuid::now_v7();
    let events = [
        world.credit(never, "BNB", "1"),
        world.credit(early, "BNB", "5"),
        world.fill_with_fee("1", "0.5", early),
        world.debit(never, "BNB", "1"),
    ];
    world.send_all(&events).await?;
    drain(&mut lane).await?;

    world.open_account(early, "BNB").await?;
    world
        .execute("UPDATE dead_letters SET next_attempt_at = now() + make_interval(hours => (code = 'UNKNOWN_SUB_ACCOUNT' AND stream_seq = 2)::int) WHERE next_attempt_at IS NOT NULL")
        .await?;
    step_until_open(&world, &mut lane, 2).await?;

    assert_eq!(world.balance(early).await?, "4");
    let expected = [
        "UNKNOWN_SUB_ACCOUNT open",
        "UNKNOWN_SUB_ACCOUNT replayed",
        "BEHIND_UNRESOLVED replayed",
        "BEHIND_UNRESOLVED open",
    ];
    assert_eq!(codes_and_statuses(&world).await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_of_an_earlier_version_holds_up_its_trading() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let early = Uuid::now_v7();
    world.send(&world.credit(early, "BNB", "5")).await?;
    drain(&mut lane).await?;
    world
        .execute(
            "UPDATE dead_letters SET accounts = NULL, next_attempt_at = now() + interval '1 hour'",
        )
        .await?;

    world.send(&world.btc_credit("2")).await?;
    step_until_open(&world, &mut lane, 2).await?;
    world.expect_dead_letters("BEHIND_UNRESOLVED", 1).await?;
    world.open_account(early, "BNB").await?;
    make_due(&world).await?;
    step_until_open(&world, &mut lane, 0).await?;

    assert_eq!(booked(&world).await?, ["e-0000", "e-0001", "e-0002"]);
    Ok(())
}

/// The retries of the only dead letter of an unknown account.
#[derive(sqlx::FromRow)]
struct Tries {
    attempts: i32,
    next_attempt_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl Tries {
    async fn find(world: &World) -> Result<Self> {
        let sql = "SELECT attempts, next_attempt_at, updated_at FROM dead_letters WHERE code = 'UNKNOWN_SUB_ACCOUNT'";
        Ok(sqlx::query_as(sql).fetch_one(world.pool()).await?)
    }

    fn wait(&self) -> Result<Duration> {
        Ok((self.next_attempt_at - self.updated_at).to_std()?)
    }
}

/// Forces the next retry. Returns the number of retries.
async fn next_try(world: &World, lane: &mut Lane) -> Result<usize> {
    let tries = Tries::find(world).await?;
    let retried = usize::try_from(tries.attempts)?;
    let expected = Duration::from_secs(WAITS[retried]);
    let wait = tries.wait()?;
    ensure!(
        wait.abs_diff(expected) < Duration::from_millis(500),
        "waits {wait:?} after {retried} retries"
    );

    make_due(world).await?;
    step_until(lane, "another try", async || {
        let sql = "SELECT attempts::int8 FROM dead_letters WHERE code = 'UNKNOWN_SUB_ACCOUNT'";
        Ok(world.number(sql).await? > i64::from(tries.attempts))
    })
    .await?;
    Ok(retried + 1)
}

#[tokio::test]
async fn an_event_that_never_resolves_blocks_others_for_three_retries() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let lost = world.fill_with_fee("1", "0.5", Uuid::now_v7());
    world.send_all(&[lost, world.btc_credit("2")]).await?;
    drain(&mut lane).await?;

    while next_try(&world, &mut lane).await? < WAITS.len() {}
    step_until_btc(&world, &mut lane, "3").await?;

    let expected = ["UNKNOWN_SUB_ACCOUNT open", "BEHIND_UNRESOLVED replayed"];
    assert_eq!(codes_and_statuses(&world).await?, expected);
    let waiting = "dead_letters WHERE blocks OR next_attempt_at IS NOT NULL";
    world.expect_rows(waiting, 0).await?;
    world.send_credits(1).await?;
    drain(&mut lane).await?;
    assert_eq!(world.btc().await?, "4");
    Ok(())
}

#[tokio::test]
async fn events_of_a_disabled_user_wait_until_the_user_is_enabled() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;

    world
        .execute("UPDATE users SET status = 'disabled'")
        .await?;
    let events = [world.btc_credit("2"), world.btc_debit("1")];
    world.send_all(&events).await?;
    drain(&mut lane).await?;
    let expected = ["USER_DISABLED open", "BEHIND_UNRESOLVED open"];
    assert_eq!(codes_and_statuses(&world).await?, expected);
    let timed = "dead_letters WHERE next_attempt_at IS NOT NULL";
    world.expect_rows(timed, 0).await?;
    assert_eq!(open_and_recent(&world).await?, [(2, 0)]);

    world.execute("UPDATE users SET status = 'active'").await?;
    assert_eq!(open_and_recent(&world).await?, [(2, 2)]);
    step_until_open(&world, &mut lane, 0).await?;
    assert_eq!(world.btc().await?, "2");
    Ok(())
}

#[tokio::test]
async fn a_discarded_or_refused_dead_letter_blocks_no_other() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let early = Uuid::now_v7();
    let lost = world.fill_with_fee("1", "0.5", Uuid::now_v7());
    let refused = world.fill_with_fee("1", "0.25", early);
    let events = [lost.clone(), refused, world.btc_credit("2")];
    world.send_all(&events).await?;
    drain(&mut lane).await?;

    world.open_account(early, "BNB").await?;
    let first = world.dead_letter("UNKNOWN_SUB_ACCOUNT").await?;
    world.discard(first).await?;
    step_until_btc(&world, &mut lane, "3").await?;

    let expected = [
        "UNKNOWN_SUB_ACCOUNT discarded",
        "INSUFFICIENT_BALANCE open",
        "BEHIND_UNRESOLVED replayed",
    ];
    assert_eq!(codes_and_statuses(&world).await?, expected);
    let passed = "dead_letters WHERE class = 'rejected' AND NOT blocks";
    world.expect_rows(passed, 1).await?;
    world.expect_events("discarded", 1).await?;

    // The discarded event counts as processed.
    world.send(&lost).await?;
    drain(&mut lane).await?;
    world.expect_rows("dead_letters", 3).await
}

#[tokio::test]
async fn an_unexpected_failure_gives_up_a_single_dead_letter() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let early = Uuid::now_v7();
    let mut odd = world.credit(early, "BNB", "1");
    odd["reason"] = json!("boom");
    let before = world.credit(early, "BNB", "5");
    let after = world.credit(early, "BNB", "2");
    world.send_all(&[before, odd, after]).await?;
    drain(&mut lane).await?;

    world
        .execute("ALTER TABLE transactions ADD CONSTRAINT no_boom CHECK (reason <> 'boom')")
        .await?;
    world.open_account(early, "BNB").await?;
    make_due(&world).await?;
    step_until_open(&world, &mut lane, 1).await?;

    assert_eq!(world.balance(early).await?, "7");
    assert_eq!(codes_and_statuses(&world).await?[1], "INTERNAL open");
    let named = "dead_letters WHERE reason LIKE '%no_boom%'";
    world.expect_rows(named, 1).await
}

#[tokio::test]
async fn dead_letters_that_waited_as_long_are_given_up_together() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let gone = Uuid::now_v7();
    for _ in 0..5 {
        world.send(&world.fill_with_fee("1", "0.1", gone)).await?;
    }
    world.send_credits(1).await?;
    drain(&mut lane).await?;
    world.expect_open(6).await?;

    // The last retry of the first is due, and all have waited longer than all retries take.
    world
        .execute(
            "UPDATE dead_letters SET created_at = now() - interval '2 hours', \
             attempts = CASE WHEN code = 'BEHIND_UNRESOLVED' THEN 0 ELSE 2 END, \
             next_attempt_at = CASE WHEN code = 'BEHIND_UNRESOLVED' THEN NULL ELSE now() END",
        )
        .await?;
    step_until_btc(&world, &mut lane, "2").await?;

    let given_up = "dead_letters WHERE code = 'UNKNOWN_SUB_ACCOUNT' AND NOT blocks";
    world.expect_rows(given_up, 5).await
}

#[tokio::test]
async fn dead_letters_move_to_the_new_lane_of_their_user() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let early = Uuid::now_v7();
    world.send(&world.credit(early, "BNB", "5")).await?;
    drain(&mut lane).await?;
    world.execute("UPDATE dead_letters SET lane = 7").await?;
    world.open_account(early, "BNB").await?;
    make_due(&world).await?;

    let moved = dead_letters::rehome(&world.service, EventStream::Trading, LANES).await?;
    assert_eq!(moved, 1);
    let moved = dead_letters::rehome(&world.service, EventStream::Trading, LANES).await?;
    assert_eq!(moved, 0);

    step_until(&mut lane, "the credit", async || {
        Ok(world.balance(early).await? == "5")
    })
    .await
}
