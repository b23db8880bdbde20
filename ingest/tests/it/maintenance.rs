//! Upkeep: old history goes when it is told to, and one worker at a time sees to it.

use crate::world::{World, drain};
use anyhow::{Result, ensure};
use std::time::Duration;
use tiris_domain::event::Kind;
use tiris_domain::lane::EventStream;
use tiris_ingest::lane::Lane;
use tiris_ingest::settings::Retention;
use tiris_ingest::upkeep::maintenance;
use tiris_store::retention;
use tiris_testing::{grow_history, partitions};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A log every ten days for fourteen months.
const LOGS: &str = "INSERT INTO trading_logs (id, timestamp, user_id, trading_id, event_time, type, source) \
    SELECT gen_random_uuid(), now() - n * interval '10 days', user_id, trading_id, now(), 'note', 'bot' \
    FROM (SELECT * FROM sub_accounts LIMIT 1) a, generate_series(0, 42) n";

#[tokio::test]
async fn partitions_older_than_logs_are_kept_go_and_transactions_stay_unless_told_otherwise()
-> Result<()> {
    let world = World::new().await?;
    sqlx::query("SELECT ensure_partitions(now() - interval '15 months', 3)")
        .execute(world.pool())
        .await?;
    sqlx::query(LOGS).execute(world.pool()).await?;
    grow_history(world.pool(), world.stock, 3).await?;
    let count = async |history: &str| -> Result<usize> {
        let all = partitions(world.pool()).await?;
        Ok(all.values().filter(|part| part.history == history).count())
    };
    let (logs, transactions) = (count("trading_logs").await?, count("transactions").await?);
    let kept = Retention {
        logs: Some(365 * DAY),
        ..Retention::default()
    };
    assert!(maintenance::upkeep(world.pool(), &kept).await);
    // The partition in which the last year began stays whole.
    let left = count("trading_logs").await?;
    assert!(left < logs, "{left} of {logs}");
    let young = "SELECT count(*) FROM trading_logs WHERE type = 'note' AND timestamp > now() - interval '365 days'";
    world.expect_count(young, 37).await?;
    let old = "SELECT count(*) FROM trading_logs WHERE timestamp < now() - interval '397 days'";
    world.expect_count(old, 0).await?;
    ensure!(
        count("transactions").await? == transactions,
        "postings were dropped"
    );
    assert!(maintenance::upkeep(world.pool(), &kept).await);
    ensure!(count("trading_logs").await? == left, "dropped twice");
    // The books are still in order for whoever checks them.
    let report =
        tiris_migrations::verify(world.database.url(), &indicatif::ProgressBar::hidden()).await?;
    assert!(report.is_clean(), "{report:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_compressed_and_how_far_ahead_partitions_reach_is_as_told() -> Result<()> {
    let world = World::new().await?;
    let kept = Retention {
        compression: Some(40 * DAY),
        partition_months: 7,
        ..Retention::default()
    };
    assert!(maintenance::upkeep(world.pool(), &kept).await);
    if world.database.history_kind().await? == "native" {
        let last = partitions(world.pool())
            .await?
            .into_values()
            .map(|part| part.until)
            .max();
        let seven =
            sqlx::query_scalar("SELECT date_trunc('month', now(), 'UTC') + interval '8 months'")
                .fetch_one(world.pool())
                .await?;
        ensure!(last == Some(seven), "{last:?} instead of {seven}");
        return Ok(());
    }
    let told = "SELECT count(*) FROM timescaledb_information.jobs \
        WHERE proc_name = 'policy_compression' AND (config ->> 'compress_after')::interval = interval '40 days'";
    world.expect_count(told, 3).await?;
    assert!(maintenance::upkeep(world.pool(), &Retention::default()).await);
    world.expect_count(told, 0).await
}

#[tokio::test]
async fn the_planner_is_told_of_every_part_of_the_history_whoever_made_it() -> Result<()> {
    let world = World::new().await?;
    let unknown = "SELECT count(*) FROM pg_inherits i WHERE i.inhparent IN ('transactions'::regclass, \
        'trading_logs'::regclass) AND NOT EXISTS (SELECT FROM pg_statistic_ext s WHERE s.stxrelid = i.inhrelid)";
    sqlx::query("SELECT ensure_partitions(now() - interval '15 months', 3)")
        .execute(world.pool())
        .await?;
    // TimescaleDB makes chunks where rows come.
    sqlx::query(LOGS).execute(world.pool()).await?;
    if world.database.history_kind().await? == "native" {
        // They take it from their parent.
        world.expect_count(unknown, 0).await?;
        let forgotten = "DO $$ DECLARE name text; BEGIN FOR name IN SELECT s.stxname FROM pg_statistic_ext s \
            JOIN pg_inherits i ON i.inhrelid = s.stxrelid LOOP EXECUTE format('DROP STATISTICS %I', name); END LOOP; END $$";
        sqlx::raw_sql(forgotten).execute(world.pool()).await?;
    }
    let count: i64 = sqlx::query_scalar(unknown).fetch_one(world.pool()).await?;
    ensure!(count > 0, "there is nothing to tell");
    assert!(maintenance::upkeep(world.pool(), &Retention::default()).await);
    world.expect_count(unknown, 0).await
}

#[tokio::test]
async fn old_event_ids_are_forgotten_only_when_told_to_and_never_those_of_dead_letters()
-> Result<()> {
    let world = World::new().await?;
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    let mut debit = world.credit(world.currency, "BTC", "9");
    debit["direction"] = "debit".into();
    world.send(Kind::BalanceUpdated, &debit).await?;
    drain(&mut lane).await;
    sqlx::query("UPDATE processed_events SET created_at = now() - interval '40 days'")
        .execute(world.pool())
        .await?;
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "1"),
        )
        .await?;
    drain(&mut lane).await;
    assert!(maintenance::upkeep(world.pool(), &Retention::default()).await);
    world
        .expect_count("SELECT count(*) FROM processed_events", 3)
        .await?;
    let kept = Retention {
        event_ids: Some(30 * DAY),
        ..Retention::default()
    };
    // Somebody else is at it.
    let mut other = world.pool().begin().await?;
    assert!(retention::may_do_alone(&mut other, "processed_events").await?);
    assert!(maintenance::upkeep(world.pool(), &kept).await);
    world
        .expect_count("SELECT count(*) FROM processed_events", 3)
        .await?;
    other.rollback().await?;
    assert!(maintenance::upkeep(world.pool(), &kept).await);
    world
        .expect_count(
            "SELECT count(*) FROM processed_events WHERE outcome = 'applied'",
            1,
        )
        .await?;
    world
        .expect_count(
            "SELECT count(*) FROM processed_events WHERE outcome = 'dead'",
            1,
        )
        .await
}

#[tokio::test]
async fn what_has_expired_goes_however_much_it_is_and_what_has_not_stays() -> Result<()> {
    const BATCH_AND_ONE: i32 = 5_001;
    let world = World::new().await?;
    for statement in [
        "INSERT INTO idempotency_keys (user_id, method, path, key, body_hmac, status, body, expires_at) \
         SELECT (SELECT id FROM users LIMIT 1), 'POST', '/', n::text, '', 200, '{}', now() + make_interval(mins => (n = 0)::int) \
         FROM generate_series(0, $1) n",
        "INSERT INTO sessions (id, user_id, expires_at) \
         SELECT gen_random_uuid(), (SELECT id FROM users LIMIT 1), now() + make_interval(mins => (n = 0)::int) \
         FROM generate_series(0, $1) n",
        "INSERT INTO oauth_states (state, provider, redirect_uri, expires_at) \
         SELECT n::text, 'google', '', now() + make_interval(mins => (n = 0)::int) FROM generate_series(0, $1) n",
    ] {
        sqlx::query(statement)
            .bind(BATCH_AND_ONE)
            .execute(world.pool())
            .await?;
    }
    // Taken over by a request at this moment.
    let mut request = world.pool().begin().await?;
    sqlx::query(
        "UPDATE idempotency_keys SET expires_at = now() + interval '1 day' WHERE key = '1'",
    )
    .execute(&mut *request)
    .await?;
    assert!(maintenance::upkeep(world.pool(), &Retention::default()).await);
    request.commit().await?;
    world
        .expect_count("SELECT count(*) FROM idempotency_keys", 2)
        .await?;
    world
        .expect_count("SELECT count(*) FROM sessions", 1)
        .await?;
    world
        .expect_count("SELECT count(*) FROM oauth_states", 1)
        .await
}

#[tokio::test]
async fn lanes_nobody_owns_are_shown_with_all_that_waits_for_them() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    let mut lane = Lane::seize(world.context(), id).await?;
    drain(&mut lane).await;
    sqlx::query("UPDATE ingest_lanes SET owner = NULL, lease_until = NULL")
        .execute(world.pool())
        .await?;
    let created_at = world
        .count("SELECT stream_created_at FROM ingest_lanes")
        .await?;
    let mut transaction = world.pool().begin().await?;
    assert_eq!(
        retention::sample_free_lanes(&mut transaction, EventStream::Trading, created_at, 8).await?,
        1
    );
    transaction.commit().await?;
    world
        .expect_count(
            "SELECT lag_messages FROM ingest_lanes WHERE NOT lag_exact",
            7,
        )
        .await
}
