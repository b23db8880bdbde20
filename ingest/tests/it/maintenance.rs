//! Maintenance: old history is deleted as configured, by one worker at a time.

use crate::world::{World, drain};
use anyhow::{Result, ensure};
use std::time::Duration;
use tiris_domain::lane::EventStream;
use tiris_ingest::settings::Retention;
use tiris_ingest::upkeep::maintenance;
use tiris_store::retention::{self, HISTORY_DAYS_MIN, History};
use tiris_testing::{grow_history, partitions};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A log every ten days for fourteen months.
const LOGS: &str = "INSERT INTO trading_logs (id, timestamp, user_id, trading_id, event_time, type, source) \
    SELECT gen_random_uuid(), now() - n * interval '10 days', user_id, trading_id, now(), 'note', 'bot' \
    FROM (SELECT * FROM sub_accounts LIMIT 1) a, generate_series(0, 42) n";

async fn upkeep(world: &World, kept: &Retention) -> Result<()> {
    let done = maintenance::upkeep(&world.service, kept).await;
    ensure!(done, "the upkeep failed");
    Ok(())
}

/// Counts the partitions of a history table.
async fn count_partitions(world: &World, history: &str) -> Result<usize> {
    let all = partitions(world.pool()).await?;
    let of_history = all.values().filter(|part| part.history == history);
    Ok(of_history.count())
}

/// Creates a world with partitions and logs of fourteen months.
async fn with_old_logs() -> Result<World> {
    let world = World::new().await?;
    world
        .execute(
            "SET LOCAL ROLE tiris_owner; SELECT ensure_partitions(now() - interval '15 months', 3)",
        )
        .await?;
    world.execute(LOGS).await?;
    Ok(world)
}

#[tokio::test]
async fn drops_partitions_older_than_the_retention_of_logs() -> Result<()> {
    let world = with_old_logs().await?;
    grow_history(world.pool(), world.stock, 3).await?;
    let logs = count_partitions(&world, "trading_logs").await?;
    let transactions = count_partitions(&world, "transactions").await?;
    let kept = Retention {
        logs: Some(365 * DAY),
        ..Retention::default()
    };

    upkeep(&world, &kept).await?;

    // The partition in which the last year began stays whole.
    let left = count_partitions(&world, "trading_logs").await?;
    assert!(left < logs, "{left} of {logs}");
    let young = "trading_logs WHERE type = 'note' AND timestamp > now() - interval '365 days'";
    world.expect_rows(young, 37).await?;
    let old = "trading_logs WHERE timestamp < now() - interval '397 days'";
    world.expect_rows(old, 0).await?;
    let of_transactions = count_partitions(&world, "transactions").await?;
    assert_eq!(of_transactions, transactions);

    upkeep(&world, &kept).await?;
    let again = count_partitions(&world, "trading_logs").await?;
    assert_eq!(again, left);
    world.verify().await
}

/// The settings and the function of the database have one limit.
#[tokio::test]
async fn the_database_keeps_history_for_as_long_as_the_settings_demand() -> Result<()> {
    let world = with_old_logs().await?;
    let least = HISTORY_DAYS_MIN * DAY;

    for history in [
        History::Transactions,
        History::TradingLogs,
        History::AuditLogs,
    ] {
        let drop = async |age| {
            let mut transaction = world.service.begin().await?;
            retention::drop_partitions(&mut transaction, history, age).await
        };
        drop(least).await?;
        let refused = drop(least - Duration::from_secs(1)).await;
        ensure!(refused.is_err(), "{history:?}");
    }
    Ok(())
}

#[tokio::test]
async fn creates_partitions_as_far_ahead_as_set() -> Result<()> {
    let world = World::new().await?;
    if world.database.history_kind().await? != "native" {
        return Ok(());
    }

    let kept = Retention {
        partition_months: 7,
        ..Retention::default()
    };
    upkeep(&world, &kept).await?;

    let partitions = partitions(world.pool()).await?;
    let last = partitions.into_values().map(|part| part.until).max();
    let seven =
        sqlx::query_scalar("SELECT date_trunc('month', now(), 'UTC') + interval '8 months'")
            .fetch_one(world.pool())
            .await?;
    assert_eq!(last, Some(seven));
    Ok(())
}

#[tokio::test]
async fn compresses_history_at_the_age_that_is_set() -> Result<()> {
    let world = World::new().await?;
    if world.database.history_kind().await? == "native" {
        return Ok(());
    }
    let policies = "timescaledb_information.jobs \
        WHERE proc_name = 'policy_compression' AND (config ->> 'compress_after')::interval = interval '40 days'";

    let kept = Retention {
        compression: Some(40 * DAY),
        ..Retention::default()
    };
    upkeep(&world, &kept).await?;
    world.expect_rows(policies, 3).await?;

    upkeep(&world, &Retention::default()).await?;
    world.expect_rows(policies, 0).await
}

#[tokio::test]
async fn every_part_of_the_history_has_planner_statistics() -> Result<()> {
    let without = "pg_inherits i WHERE i.inhparent IN ('transactions'::regclass, 'trading_logs'::regclass) \
        AND NOT EXISTS (SELECT FROM pg_statistic_ext s WHERE s.stxrelid = i.inhrelid)";
    // TimescaleDB creates chunks on insert.
    let world = with_old_logs().await?;
    if world.database.history_kind().await? == "native" {
        // Partitions inherit it from their parent.
        world.expect_rows(without, 0).await?;
        world
            .execute(
                "DO $$ DECLARE name text; BEGIN FOR name IN SELECT s.stxname FROM pg_statistic_ext s \
                 JOIN pg_inherits i ON i.inhrelid = s.stxrelid LOOP EXECUTE format('DROP STATISTICS %I', name); END LOOP; END $$",
            )
            .await?;
    }
    let count = world.count(without).await?;
    ensure!(count > 0, "every part has statistics already");

    upkeep(&world, &Retention::default()).await?;

    world.expect_rows(without, 0).await
}

/// Creates event ids of an applied and a refused event 40 days old, and of a new applied one.
async fn with_old_event_ids() -> Result<World> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    world.send(&world.btc_debit("9")).await?;
    drain(&mut lane).await?;
    world
        .execute("UPDATE processed_events SET created_at = now() - interval '40 days'")
        .await?;
    world.send_credits(1).await?;
    drain(&mut lane).await?;
    Ok(world)
}

fn thirty_days() -> Retention {
    Retention {
        event_ids: Some(30 * DAY),
        ..Retention::default()
    }
}

#[tokio::test]
async fn keeps_event_ids_by_default() -> Result<()> {
    let world = with_old_event_ids().await?;

    upkeep(&world, &Retention::default()).await?;

    world.expect_rows("processed_events", 3).await
}

#[tokio::test]
async fn deletes_old_event_ids_except_those_of_dead_letters() -> Result<()> {
    let world = with_old_event_ids().await?;

    upkeep(&world, &thirty_days()).await?;

    world.expect_events("applied", 1).await?;
    world.expect_events("dead", 1).await
}

#[tokio::test]
async fn one_worker_at_a_time_deletes_old_event_ids() -> Result<()> {
    let world = with_old_event_ids().await?;
    let mut other = world.pool().begin().await?;
    assert!(retention::may_do_alone(&mut other, "processed_events").await?);

    upkeep(&world, &thirty_days()).await?;

    world.expect_rows("processed_events", 3).await
}

#[tokio::test]
async fn deletes_dead_letters_a_time_after_they_were_closed() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let events = ["7", "8", "9"].map(|amount| world.btc_debit(amount));
    world.send_all(&events).await?;
    drain(&mut lane).await?;
    world
        .execute("UPDATE dead_letters SET status = 'discarded' WHERE stream_seq <= 3")
        .await?;
    world
        .execute("UPDATE dead_letters SET created_at = now() - interval '999 days', closed_at = closed_at - interval '400 days' * (stream_seq = 2)::int")
        .await?;

    let kept = Retention {
        dead_letters: Some(400 * DAY),
        ..Retention::default()
    };
    upkeep(&world, &kept).await?;

    world.expect_rows("dead_letters", 2).await?;
    world.expect_open(1).await
}

/// Inserts more than one batch of rows, of which all but one have expired.
const EXPIRED: [&str; 3] = [
    "INSERT INTO idempotency_keys (user_id, method, path, key, body_hmac, status, body, expires_at) \
     SELECT (SELECT id FROM users LIMIT 1), 'POST', '/', n::text, '', 200, '{}', now() + make_interval(mins => (n = 0)::int) \
     FROM generate_series(0, 5001) n",
    "INSERT INTO sessions (id, user_id, expires_at) \
     SELECT gen_random_uuid(), (SELECT id FROM users LIMIT 1), now() + make_interval(mins => (n = 0)::int) \
     FROM generate_series(0, 5001) n",
    "INSERT INTO oauth_states (state, provider, redirect_uri, expires_at) \
     SELECT n::text, 'google', '', now() + make_interval(mins => (n = 0)::int) FROM generate_series(0, 5001) n",
];

#[tokio::test]
async fn deletes_all_expired_rows_and_no_others() -> Result<()> {
    let world = World::new().await?;
    for statement in EXPIRED {
        world.execute(statement).await?;
    }
    // A request is renewing one of them.
    let mut request = world.pool().begin().await?;
    sqlx::query(
        "UPDATE idempotency_keys SET expires_at = now() + interval '1 day' WHERE key = '1'",
    )
    .execute(&mut *request)
    .await?;

    upkeep(&world, &Retention::default()).await?;
    request.commit().await?;

    world.expect_rows("idempotency_keys", 2).await?;
    world.expect_rows("sessions", 1).await?;
    world.expect_rows("oauth_states", 1).await
}

/// Expired rows that come back whenever they are deleted.
const ENDLESS: [&str; 3] = [
    "INSERT INTO oauth_states (state, provider, redirect_uri, expires_at) \
     SELECT n::text, 'google', '', now() FROM generate_series(1, 5000) n",
    "CREATE FUNCTION come_back() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN INSERT INTO oauth_states SELECT OLD.*; RETURN NULL; END $$",
    "CREATE TRIGGER come_back AFTER DELETE ON oauth_states FOR EACH ROW EXECUTE FUNCTION come_back()",
];

#[tokio::test]
async fn an_endless_purge_does_not_stop_the_sampling_of_metrics() -> Result<()> {
    let world = World::new().await?;
    for statement in ENDLESS {
        world.execute(statement).await?;
    }
    let mut worker = world.ready_worker().await?;

    world.send_bytes("no event").await?;

    worker
        .counts("ingest_dead_letters_open{stream=\"TRADING\",class=\"malformed\"} 1")
        .await?;
    worker.stops().await
}

#[tokio::test]
async fn the_lag_of_a_free_lane_is_everything_behind_its_cursor() -> Result<()> {
    let world = World::new().await?;
    world.lane().await?;
    world
        .execute("UPDATE ingest_lanes SET owner = NULL, lease_until = NULL")
        .await?;
    let created_at = world
        .number("SELECT stream_created_at FROM ingest_lanes")
        .await?;

    let mut connection = world.service.acquire().await?;
    let lanes =
        retention::sample_free_lanes(&mut connection, EventStream::Trading, created_at, 8).await?;

    assert_eq!(lanes, 1);
    let waiting = "SELECT lag_messages FROM ingest_lanes WHERE NOT lag_exact";
    assert_eq!(world.number(waiting).await?, 7);
    Ok(())
}
