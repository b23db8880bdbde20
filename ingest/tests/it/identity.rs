//! Streams that do not match the cursors: detected before anything is read, and reported with a remedy.

use crate::worker::Worker;
use crate::world::{LANES, WAIT, World};
use anyhow::{Result, ensure};
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;
use tiris_domain::lane::EventStream;
use tiris_ingest::stream::subjects;
use tiris_testing::{eventually, scratch_dir};

/// A mismatch as it is reported.
#[derive(Clone, Copy)]
struct Halt {
    kind: &'static str,
    reason: &'static str,
}

const RECREATED: Halt = Halt {
    kind: "made_anew",
    reason: "recreated",
};
const TAIL_LOST: Halt = Halt {
    kind: "tail_lost",
    reason: "lost its newest messages: it ends at",
};
const OTHER_MESSAGE: Halt = Halt {
    kind: "other_message",
    reason: "another message has the sequence of the cursor",
};
const GAP: Halt = Halt {
    kind: "gap",
    reason: "to 4 are gone",
};
const LANES_CHANGED: Halt = Halt {
    kind: "lanes_changed",
    reason: "has 5 lanes and this worker reads 2",
};

/// Waits until the row of a halted lane holds `reason`.
async fn row_says(world: &World, reason: &str) -> Result<()> {
    eventually(reason, WAIT, async || {
        let reasons: Vec<String> =
            sqlx::query_scalar("SELECT status_reason FROM ingest_lanes WHERE status = 'halted'")
                .fetch_all(world.pool())
                .await?;
        let found = reasons.iter().any(|found| found.contains(reason));
        ensure!(found, "{reasons:?}");
        Ok(())
    })
    .await
}

/// Expects that readiness, metrics, row and command report the halt, and that only `postings` are booked.
async fn is_halted(world: &World, worker: &Worker, halt: Halt, postings: i64) -> Result<()> {
    let Halt { kind, reason } = halt;
    worker.fails(&["lanes"], reason).await?;
    let log = std::fs::read_to_string(worker.process.log_path())?;
    let logged = log
        .lines()
        .any(|line| line.contains("lane halts: ") && line.contains(reason));
    ensure!(logged, "{reason} is missing in {log}");

    let mismatches =
        format!("ingest_cursor_mismatches_total{{stream=\"TRADING\",kind=\"{kind}\"}}");
    worker.counts(&mismatches).await?;
    let halted = format!("ingest_lanes_halted{{kind=\"{kind}\"}}");
    worker.counts(&halted).await?;

    row_says(world, reason).await?;

    let shown = world.run_lanes(&["show", "--json"]).await?;
    shown.succeeds(&[])?;
    let lanes: Vec<Value> = serde_json::from_str(&shown.stdout)?;
    let found = lanes.iter().any(|lane| lane["mismatch"] == kind);
    ensure!(found, "{shown:?}");

    world.expect_rows("transactions", postings).await
}

/// Publishes after a restart, for which the broker needs a moment.
async fn send_credits_again(world: &World, count: u32) -> Result<()> {
    eventually("publishing again", WAIT, async || {
        world.send_credits(count).await
    })
    .await
}

/// Changes the configuration of the stream of orders and balances. Returns the previous one.
async fn configure(world: &World, change: impl FnOnce(&mut Config)) -> Result<Config> {
    let before = world.stream_info("TRADING").await?.config;
    let mut config = before.clone();
    change(&mut config);
    world.jetstream().update_stream(config).await?;
    Ok(before)
}

#[tokio::test]
async fn a_recreated_stream_halts_its_lanes_until_they_are_reset() -> Result<()> {
    let world = World::new().await?;
    let mut worker = world.worker()?;
    let kept = world.btc_credit("1");
    world.send(&kept).await?;
    world.send_credits(2).await?;
    world.btc_reaches("3").await?;

    world.recreate_stream().await?;
    world.send(&kept).await?;
    world.send_credits(4).await?;
    is_halted(&world, &worker, RECREATED, 3).await?;

    let reset = world.run_lanes(&["reset", "--all", "--yes"]).await?;
    reset.succeeds(&["TRADING/0: done"])?;
    world.btc_reaches("7").await?;
    worker.ready().await?;
    let audited = "audit_logs WHERE action = 'lane.reset' AND resource_id LIKE 'TRADING/_' \
                   AND before ? 'cursor' AND after ? 'cursor' AND agent LIKE 'tiris-ingest by %'";
    world.expect_rows(audited, 3).await?;
    let noted = "ingest_lanes WHERE info->'restarts'->0->>'kind' = 'made_anew'";
    world.expect_rows(noted, 3).await?;
    worker.stops().await
}

#[tokio::test]
async fn a_command_that_the_lanes_do_not_need_is_refused() -> Result<()> {
    let world = World::new().await?;
    let mut worker = world.worker()?;
    world.send_credits(1).await?;
    world.btc_reaches("1").await?;
    world.recreate_stream().await?;
    is_halted(&world, &worker, RECREATED, 1).await?;

    let gap = world.run_lanes(&["accept-gap", "TRADING/0"]).await?;
    gap.fails(&["lanes reset", "nothing was changed"])?;
    let unconfirmed = world.run_lanes(&["reset", "--all"]).await?;
    unconfirmed.fails(&["--yes"])?;

    let reset = world.run_lanes(&["reset", "--all", "--yes"]).await?;
    reset.succeeds(&[])?;
    worker.ready().await?;
    let one = world.run_lanes(&["reset", "TRADING/0", "--yes"]).await?;
    one.fails(&["match"])?;
    let unknown = world.run_lanes(&["reset", "TRADING/x"]).await?;
    unknown.fails(&["TRADING/3"])?;
    worker.stops().await
}

#[tokio::test]
async fn a_worker_set_to_resume_continues_with_a_recreated_stream() -> Result<()> {
    let world = World::new().await?;
    let mut worker = world.worker_with(&[("TIRIS_ON_STREAM_LOST", "resume")])?;
    world.send_credits(3).await?;
    world.btc_reaches("3").await?;

    world.recreate_stream().await?;
    world.send_credits(2).await?;

    world.btc_reaches("5").await?;
    worker
        .counts("ingest_cursor_mismatches_total{stream=\"TRADING\",kind=\"made_anew\"}")
        .await?;
    worker.stops().await
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Copies the store of the broker, which is stopped meanwhile.
async fn back_up(world: &mut World) -> Result<TempDir> {
    world.nats.stop().await?;
    let backup = scratch_dir("backup")?;
    copy(&world.nats.store(), backup.path())?;
    world.nats.restart().await?;
    Ok(backup)
}

async fn restore(world: &mut World, backup: &TempDir) -> Result<()> {
    world.nats.kill().await?;
    std::fs::remove_dir_all(world.nats.store())?;
    copy(backup.path(), &world.nats.store())?;
    world.nats.restart().await
}

async fn at_least(world: &World, transactions: i64) -> Result<()> {
    eventually("postings", WAIT, async || {
        let count = world.count("transactions").await?;
        ensure!(count >= transactions, "{count}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_stream_that_lost_its_tail_halts_its_lanes() -> Result<()> {
    let mut world = World::durable().await?;
    world.send_credits(1).await?;
    let backup = back_up(&mut world).await?;
    let mut worker = world.worker()?;
    send_credits_again(&world, 1).await?;
    world.send_credits(1).await?;
    at_least(&world, 3).await?;
    let before = world.count("transactions").await?;

    restore(&mut world, &backup).await?;
    is_halted(&world, &worker, TAIL_LOST, before).await?;

    // When the stream has grown past the cursor again, its message at the cursor differs.
    send_credits_again(&world, 6).await?;
    is_halted(&world, &worker, OTHER_MESSAGE, before).await?;

    let reset = world.run_lanes(&["reset", "--all", "--yes"]).await?;
    reset.succeeds(&[])?;
    at_least(&world, before + 6).await?;
    worker.ready().await?;
    let twice = world
        .number("SELECT count(*) - count(DISTINCT event_id) FROM transactions")
        .await?;
    ensure!(twice == 0, "{twice} postings twice");
    worker.stops().await
}

#[tokio::test]
async fn a_gap_halts_the_lanes_until_an_operator_accepts_it() -> Result<()> {
    let world = World::new().await?;
    let mut worker = world.worker()?;
    world.send_credits(1).await?;
    world.btc_reaches("1").await?;
    worker.stops().await?;

    world.send_credits(5).await?;
    let before = configure(&world, |config| {
        config.max_messages = 2;
        config.discard = DiscardPolicy::Old;
        config.discard_new_per_subject = false;
    })
    .await?;
    world.jetstream().update_stream(before).await?;
    let mut worker = world.worker()?;
    is_halted(&world, &worker, GAP, 1).await?;

    let reset = world.run_lanes(&["reset", "--all", "--yes"]).await?;
    reset.succeeds(&["no lane needs it"])?;
    let gap = world.run_lanes(&["accept-gap", "--all", "--yes"]).await?;
    gap.succeeds(&["messages 2 to 4 are gone"])?;

    world.btc_reaches("3").await?;
    worker.ready().await?;
    worker.stops().await
}

#[tokio::test]
async fn a_stream_with_other_lanes_is_not_read() -> Result<()> {
    let mut world = World::durable().await?;
    let mut worker = world.worker()?;
    world.send_credits(1).await?;
    world.btc_reaches("1").await?;

    let before = configure(&world, |config| {
        config.subject_transform = Some(subjects::transform(EventStream::Trading, LANES + 3));
    })
    .await?;
    world.nats.kill().await?;
    world.nats.restart().await?;
    send_credits_again(&world, 1).await?;
    is_halted(&world, &worker, LANES_CHANGED, 1).await?;

    world.jetstream().update_stream(before).await?;
    worker.ready().await?;
    world.run_lanes(&["show"]).await?.succeeds(&[])?;
    worker.stops().await
}
