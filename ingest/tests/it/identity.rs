//! Streams and databases that are not what they were: noticed before anything is read, told everywhere, with a way on.

use crate::process::Worker;
use crate::world::{LANES, WAIT, World};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use tiris_domain::event::Kind;
use tiris_domain::lane::EventStream;
use tiris_ingest::stream;
use tiris_testing::{NatsSettings, binary, eventually};

fn start(world: &World) -> Result<Worker> {
    Worker::start(world.database.url(), &world.nats.url())
}

/// Runs `tiris-ingest lanes`; answers whether it succeeded and what it printed.
async fn lanes(world: &World, arguments: &[&str]) -> Result<(bool, String)> {
    let mut command = tokio::process::Command::new(binary("tiris-ingest")?);
    command
        .arg("lanes")
        .args(arguments)
        .stdin(std::process::Stdio::null());
    command
        .env("DATABASE_URL", world.database.url())
        .env("NATS_URL", world.nats.url());
    let output = command.output().await?;
    let text = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    Ok((output.status.success(), text))
}

/// Waits until a halted lane's row says so.
async fn row_says(world: &World, words: &str) -> Result<()> {
    eventually(words, WAIT, async || {
        let reasons: Vec<String> =
            sqlx::query_scalar("SELECT status_reason FROM ingest_lanes WHERE status = 'halted'")
                .fetch_all(world.pool())
                .await?;
        ensure!(
            reasons.iter().any(|reason| reason.contains(words)),
            "{reasons:?}"
        );
        Ok(())
    })
    .await
}

/// What must be true of every kind: told by readiness, metric, row and command, nothing was consumed.
async fn is_halted(
    world: &World,
    worker: &Worker,
    kind: &str,
    words: &str,
    postings: i64,
) -> Result<()> {
    worker.fails(&["lanes"], words).await?;
    worker
        .counts(&format!(
            "ingest_cursor_mismatches_total{{stream=\"TRADING\",kind=\"{kind}\"}}"
        ))
        .await?;
    worker
        .counts(&format!("ingest_lanes_halted{{kind=\"{kind}\"}}"))
        .await?;
    row_says(world, words).await?;
    let (ok, shown) = lanes(world, &["show", "--json"]).await?;
    let shown: Value = serde_json::from_str(&shown)?;
    let found = shown
        .as_array()
        .into_iter()
        .flatten()
        .any(|lane| lane["mismatch"] == kind);
    ensure!(ok && found, "{shown}");
    let count = world.count("SELECT count(*) FROM transactions").await?;
    ensure!(count == postings, "{count} postings instead of {postings}");
    Ok(())
}

async fn declare(world: &World) -> Result<()> {
    Ok(stream::declare(world.jetstream(), &world.settings.streams).await?)
}

#[tokio::test]
async fn a_stream_made_anew_halts_its_lanes_until_they_are_reset() -> Result<()> {
    let world = World::new().await?;
    let mut worker = start(&world)?;
    let kept = world.credit(world.currency, "BTC", "1");
    world.send(Kind::BalanceUpdated, &kept).await?;
    world.send_credits(2).await?;
    world.balance_reaches(world.currency, "3").await?;
    world.jetstream().delete_stream("TRADING").await?;
    declare(&world).await?;
    world.send(Kind::BalanceUpdated, &kept).await?;
    world.send_credits(4).await?;
    is_halted(&world, &worker, "made_anew", "made anew", 3).await?;
    let (ok, told) = lanes(&world, &["accept-gap", "TRADING/0"]).await?;
    ensure!(
        !ok && told.contains("lanes reset") && told.contains("nothing was changed"),
        "{told}"
    );
    let (ok, told) = lanes(&world, &["reset", "--all"]).await?;
    ensure!(!ok && told.contains("--yes"), "{told}");
    let (ok, told) = lanes(&world, &["reset", "--all", "--yes"]).await?;
    ensure!(ok && told.contains("TRADING/0: done"), "{told}");
    world.balance_reaches(world.currency, "7").await?;
    let audited = "SELECT count(*) FROM audit_logs WHERE action = 'lane.reset' AND resource_id LIKE 'TRADING/_' \
                   AND before ? 'cursor' AND after ? 'cursor' AND agent LIKE 'tiris-ingest by %'";
    world.expect_count(audited, 3).await?;
    worker.ready().await?;
    let (ok, told) = lanes(&world, &["reset", "TRADING/0", "--yes"]).await?;
    ensure!(!ok && told.contains("belong together"), "{told}");
    let (ok, told) = lanes(&world, &["reset", "TRADING/x"]).await?;
    ensure!(!ok && told.contains("TRADING/3"), "{told}");
    world
        .expect_count(
            "SELECT count(*) FROM ingest_lanes WHERE info->'restarts'->0->>'kind' = 'made_anew'",
            3,
        )
        .await?;
    worker.stops().await
}

#[tokio::test]
async fn a_lane_told_to_resume_goes_on_with_a_new_stream_by_itself() -> Result<()> {
    let world = World::new().await?;
    let settings = [("TIRIS_ON_STREAM_LOST", "resume")];
    let mut worker = Worker::start_with(world.database.url(), &world.nats.url(), &settings)?;
    world.send_credits(3).await?;
    world.balance_reaches(world.currency, "3").await?;
    world.jetstream().delete_stream("TRADING").await?;
    declare(&world).await?;
    world.send_credits(2).await?;
    world.balance_reaches(world.currency, "5").await?;
    worker
        .counts("ingest_cursor_mismatches_total{stream=\"TRADING\",kind=\"made_anew\"}")
        .await?;
    worker.stops().await
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_that_lost_its_tail_is_noticed_however_long_it_is_again() -> Result<()> {
    let mut world = World::with_nats(NatsSettings {
        durable: true,
        ..NatsSettings::default()
    })
    .await?;
    world.send_credits(1).await?;
    world.nats.stop().await?;
    let backup = tiris_testing::scratch_dir("backup")?;
    copy(&world.nats.store(), backup.path())?;
    world.nats.restart().await?;
    let mut worker = start(&world)?;
    eventually("publishing again", WAIT, async || {
        world.send_credits(1).await
    })
    .await?;
    world.send_credits(1).await?;
    eventually("all of it", WAIT, async || {
        world
            .expect_count(
                "SELECT count(*) FROM ingest_lanes WHERE lag_messages <> 0 OR cursor = 0",
                0,
            )
            .await
            .ok();
        ensure!(
            world.count("SELECT count(*) FROM transactions").await? >= 3,
            "not yet"
        );
        Ok(())
    })
    .await?;
    let before = world.count("SELECT count(*) FROM transactions").await?;
    world.nats.kill().await?;
    std::fs::remove_dir_all(world.nats.store())?;
    copy(backup.path(), &world.nats.store())?;
    world.nats.restart().await?;
    is_halted(&world, &worker, "tail_lost", "lost its tail", before).await?;
    // Longer again than the cursor, it is told by the message that stands there.
    eventually("publishing again", WAIT, async || {
        world.send_credits(6).await
    })
    .await?;
    is_halted(
        &world,
        &worker,
        "other_message",
        "another message stands at the cursor",
        before,
    )
    .await?;
    let (ok, told) = lanes(&world, &["reset", "--all", "--yes"]).await?;
    ensure!(ok, "{told}");
    eventually("what came since", WAIT, async || {
        let count = world.count("SELECT count(*) FROM transactions").await?;
        ensure!(count >= before + 6, "{count}");
        Ok(())
    })
    .await?;
    worker.ready().await?;
    world
        .expect_count(
            "SELECT count(*) - count(DISTINCT event_id) FROM transactions",
            0,
        )
        .await?;
    worker.stops().await
}

#[tokio::test]
async fn messages_that_retention_took_are_counted_and_given_up_by_a_person_only() -> Result<()> {
    let world = World::new().await?;
    let mut worker = start(&world)?;
    world.send_credits(1).await?;
    world.balance_reaches(world.currency, "1").await?;
    worker.stops().await?;
    world.send_credits(5).await?;
    let mut config = world
        .jetstream()
        .get_stream("TRADING")
        .await?
        .cached_info()
        .config
        .clone();
    let before = config.clone();
    config.max_messages = 2;
    config.discard = async_nats::jetstream::stream::DiscardPolicy::Old;
    world.jetstream().update_stream(config).await?;
    world.jetstream().update_stream(before).await?;
    let mut worker = start(&world)?;
    is_halted(&world, &worker, "gap", "to 4 are gone", 1).await?;
    let (ok, told) = lanes(&world, &["reset", "--all", "--yes"]).await?;
    ensure!(ok && told.contains("no lane needs it"), "{told}");
    let (ok, told) = lanes(&world, &["accept-gap", "--all", "--yes"]).await?;
    ensure!(ok && told.contains("messages 2 to 4 are gone"), "{told}");
    world.balance_reaches(world.currency, "3").await?;
    worker.ready().await?;
    worker.stops().await
}

#[tokio::test]
async fn a_stream_with_other_lanes_than_the_worker_reads_is_not_read() -> Result<()> {
    let mut world = World::with_nats(NatsSettings {
        durable: true,
        ..NatsSettings::default()
    })
    .await?;
    let mut worker = start(&world)?;
    world.send_credits(1).await?;
    world.balance_reaches(world.currency, "1").await?;
    let mut config = world
        .jetstream()
        .get_stream("TRADING")
        .await?
        .cached_info()
        .config
        .clone();
    let before = config.clone();
    config.subject_transform = Some(stream::subjects::transform(EventStream::Trading, LANES + 3));
    world.jetstream().update_stream(config).await?;
    world.nats.kill().await?;
    world.nats.restart().await?;
    eventually("publishing again", WAIT, async || {
        world.send_credits(1).await
    })
    .await?;
    is_halted(
        &world,
        &worker,
        "lanes_changed",
        "has 5 lanes and this worker reads 2",
        1,
    )
    .await?;
    world.jetstream().update_stream(before).await?;
    worker.ready().await?;
    let (ok, _) = lanes(&world, &["show"]).await?;
    ensure!(ok, "lanes show");
    worker.stops().await
}

/// The database comes back from an earlier copy while the worker runs. What depends on what was done over REST since
/// then is a named open letter, everything else is exactly as it was.
#[tokio::test]
async fn after_a_restore_every_event_is_in_the_books_or_a_named_open_letter() -> Result<()> {
    let world = World::new().await?;
    let mut worker = start(&world)?;
    world.send_credits(3).await?;
    world.balance_reaches(world.currency, "3").await?;
    let backup = world.database.backup().await?;
    tiris_migrations::after_restore(backup.url()).await?;
    // Since the copy: a deposit and an account over REST, and a trading that has nothing to do with it.
    let lost = uuid::Uuid::now_v7();
    let (other, elsewhere) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
    for pool in [world.pool(), backup.pool()] {
        sqlx::query(
            "INSERT INTO tradings (id, user_id, name, type) VALUES ($1, $2, 'other', 'paper')",
        )
        .bind(other)
        .bind(world.user)
        .execute(pool)
        .await?;
        sqlx::query("INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol) VALUES ($1, $2, $3, 'BTC', 'BTC')")
            .bind(elsewhere)
            .bind(world.user)
            .bind(other)
            .execute(pool)
            .await?;
    }
    eventually("a deposit over REST", WAIT, async || {
        world.deposit(world.currency, "BTC", "100").await
    })
    .await?;
    world
        .add_account(world.user, world.trading, lost, "BNB")
        .await?;
    let mut debit = world.credit(world.currency, "BTC", "50");
    debit["direction"] = json!("debit");
    let mut independent = world.credit(elsewhere, "BTC", "7");
    independent["trading_id"] = json!(other);
    let events = [
        debit,
        world.credit(world.currency, "BTC", "1"),
        world.credit(lost, "BNB", "2"),
        world.credit(world.stock, "ETH", "5"),
        independent,
    ];
    for event in &events {
        world.send(Kind::BalanceUpdated, event).await?;
    }
    eventually("all of it", WAIT, async || {
        ensure!(world.balance(elsewhere).await? == "7", "not yet");
        Ok(())
    })
    .await?;
    world
        .expect_count("SELECT count(*) FROM dead_letters", 0)
        .await?;
    world.database.restore(backup).await?;
    eventually("the lost events again", WAIT, async || {
        ensure!(world.balance(elsewhere).await? == "7", "not yet");
        Ok(())
    })
    .await?;
    let letters: Vec<String> =
        sqlx::query_scalar("SELECT code FROM dead_letters ORDER BY stream_seq")
            .fetch_all(world.pool())
            .await?;
    assert_eq!(
        letters,
        [
            "INSUFFICIENT_BALANCE",
            "UNKNOWN_SUB_ACCOUNT",
            "BEHIND_UNRESOLVED"
        ]
    );
    assert_eq!(
        (
            world.balance(world.currency).await?,
            world.balance(world.stock).await?
        ),
        ("4".into(), "0".into())
    );
    world
        .expect_count("SELECT count(*) FROM transactions", 5)
        .await?;
    // What was lost over REST is done again, then the letters apply.
    world
        .add_account(world.user, world.trading, lost, "BNB")
        .await?;
    world.deposit(world.currency, "BTC", "100").await?;
    eventually("the letters that wait", WAIT, async || {
        ensure!(world.balance(world.stock).await? == "5", "not yet");
        Ok(())
    })
    .await?;
    let mut command = tokio::process::Command::new(binary("tiris-ingest")?);
    command
        .args(["dlq", "replay", "--all", "--yes"])
        .env("DATABASE_URL", world.database.url());
    ensure!(command.output().await?.status.success(), "dlq replay");
    assert_eq!(world.balance(world.currency).await?, "54");
    world
        .expect_count("SELECT count(*) FROM dead_letters WHERE status = 'open'", 0)
        .await?;
    let report =
        tiris_migrations::verify(world.database.url(), &indicatif::ProgressBar::hidden()).await?;
    ensure!(report.is_clean(), "{report:?}");
    worker.ready().await?;
    worker.stops().await
}
