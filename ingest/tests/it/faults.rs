//! Faults: a database that is down, an unexpected failure, a broker that restarts.

use crate::world::{WAIT, World, drain, seize, settings, step, waits};
use anyhow::{Result, ensure};
use async_nats::jetstream::consumer::{Consumer, pull};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::Value;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tiris_ingest::context::Context;
use tiris_ingest::lane::{Lane, Step};
use tiris_testing::{PgServer, PgStop, Role, eventually};

async fn step_until_idle_at(lane: &mut Lane, cursor: u64) -> Result<()> {
    eventually("an idle lane", WAIT, async || {
        let step = step(lane).await;
        ensure!(step == Step::Idle, "{step:?}");
        ensure!(lane.cursor() == cursor, "at {}", lane.cursor());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_unexpected_failure_sets_a_single_event_aside() -> Result<()> {
    let world = World::new().await?;
    world.fail_on_boom().await?;
    let id = world.own_lane().await?;
    world.send_credits(5).await?;
    world.send(&world.boom("1")).await?;
    world.send_credits(3).await?;

    let mut lane = seize(world.context(), id).await?;
    drain(&mut lane).await?;

    assert_eq!(world.btc().await?, "9");
    let unforeseen = "dead_letters WHERE code = 'INTERNAL' AND reason LIKE '%unforeseen%'";
    world.expect_rows(unforeseen, 1).await?;
    world.expect_rows("dead_letters", 1).await
}

const COPIES: [(&str, &str); 3] = [
    (
        "SELECT to_jsonb(t) FROM users t",
        "INSERT INTO users SELECT * FROM jsonb_populate_record(NULL::users, $1)",
    ),
    (
        "SELECT to_jsonb(t) FROM tradings t",
        "INSERT INTO tradings SELECT * FROM jsonb_populate_record(NULL::tradings, $1)",
    ),
    (
        "SELECT to_jsonb(t) FROM sub_accounts t",
        "INSERT INTO sub_accounts SELECT * FROM jsonb_populate_record(NULL::sub_accounts, $1)",
    ),
];

/// Creates a database on a server of its own, with the user, trading and accounts of the world.
async fn separate_database(world: &World, server: &PgServer) -> Result<PgPool> {
    let url = server.url("postgres");
    tiris_migrations::up(&url).await?;
    let settings = settings(&url, &world.nats.url())?;
    let pool = tiris_runtime::database::pool(&settings.database, "test")?;
    for (read, write) in COPIES {
        let rows: Vec<Value> = sqlx::query_scalar(read).fetch_all(world.pool()).await?;
        for row in rows {
            sqlx::query(write).bind(row).execute(&pool).await?;
        }
    }
    Ok(pool)
}

#[tokio::test]
async fn a_lane_waits_for_a_database_that_is_down() -> Result<()> {
    let mut world = World::new().await?;
    let mut server = PgServer::private().await?;
    let pool = separate_database(&world, &server).await?;
    let context = Context {
        pool: pool.clone(),
        ..world.context()
    };
    let mut lane = world.lane_with(context).await?;
    world.send(&world.btc_credit("2")).await?;

    server.stop(PgStop::Immediate).await?;
    waits(&mut lane).await?;
    server.restart().await?;
    // Each connection of the pool fails once, because it died with the server.
    step_until_idle_at(&mut lane, 2).await?;

    let balance: String =
        sqlx::query_scalar("SELECT trim_scale(balance)::text FROM sub_accounts WHERE id = $1")
            .bind(world.currency)
            .fetch_one(&pool)
            .await?;
    assert_eq!(balance, "3");
    let letters: i64 = sqlx::query_scalar("SELECT count(*) FROM dead_letters")
        .fetch_one(&pool)
        .await?;
    assert_eq!(letters, 0);
    world.nats.stop().await
}

/// Expects that the lane waits while the database is broken, and continues when it is repaired.
async fn waits_for_repair(breakage: &'static str, repair: &'static str) -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    world.execute(breakage).await?;
    world.send_credits(1).await?;

    for _ in 0..4 {
        waits(&mut lane).await?;
    }
    world.execute(repair).await?;
    drain(&mut lane).await?;

    assert_eq!(world.btc().await?, "2");
    world.expect_rows("dead_letters", 0).await
}

#[tokio::test]
async fn a_missing_table_makes_the_lane_wait() -> Result<()> {
    waits_for_repair(
        "ALTER TABLE trading_logs RENAME TO elsewhere",
        "ALTER TABLE elsewhere RENAME TO trading_logs",
    )
    .await
}

#[tokio::test]
async fn a_missing_partition_makes_the_lane_wait() -> Result<()> {
    // TimescaleDB creates a missing chunk.
    if World::new().await?.database.history_kind().await? != "native" {
        return Ok(());
    }
    waits_for_repair(
        "DO $$ DECLARE part regclass; BEGIN FOR part IN SELECT inhrelid FROM pg_inherits \
         WHERE inhparent = 'trading_logs'::regclass LOOP EXECUTE 'DROP TABLE ' || part; END LOOP; END $$",
        "SELECT ensure_partitions(now(), 1)",
    )
    .await
}

#[tokio::test]
async fn a_batch_that_is_not_fresh_at_its_end_is_retried() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    world
        .execute(
            "CREATE SEQUENCE tries; GRANT USAGE ON SEQUENCE tries TO tiris_ingest; \
             CREATE OR REPLACE FUNCTION assert_fresh(batch_timestamp timestamptz) RETURNS void \
             LANGUAGE plpgsql AS $$ BEGIN IF batch_timestamp IS NOT NULL AND nextval('tries') = 1 THEN \
             RAISE EXCEPTION 'late' USING ERRCODE = 'serialization_failure'; END IF; END $$",
        )
        .await?;
    world.send_credits(1).await?;

    waits(&mut lane).await?;
    assert_eq!(world.btc().await?, "1", "nothing of it is there");
    drain(&mut lane).await?;

    assert_eq!(world.btc().await?, "2");
    let tries = world.number("SELECT last_value FROM tries").await?;
    assert_eq!(tries, 2);
    world.expect_rows("dead_letters", 0).await
}

#[tokio::test]
async fn a_batch_too_slow_for_the_database_is_made_smaller() -> Result<()> {
    let world = World::new().await?;
    world
        .execute(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END $$; \
             CREATE TRIGGER dawdle BEFORE INSERT ON trading_logs FOR EACH ROW EXECUTE FUNCTION dawdle()",
        )
        .await?;
    // One event fits this limit, two do not.
    let options: PgConnectOptions = world.database.url_as(Role::Ingest)?.parse()?;
    let pool = PgPool::connect_lazy_with(options.options([("statement_timeout", "900ms")]));
    let context = Context {
        pool,
        ..world.context()
    };
    let id = world.own_lane().await?;
    world.send_credits(5).await?;
    let mut lane = seize(context, id).await?;

    let mut too_slow = 0;
    while lane.cursor() < 6 {
        if matches!(step(&mut lane).await, Step::Waiting(_)) {
            too_slow += 1;
            ensure!(too_slow < 20, "the batch does not shrink");
        }
    }

    // The first batch may be a single event; while that is committed the others arrive.
    ensure!(too_slow > 0, "no batch was too slow");
    assert_eq!(world.btc().await?, "6");
    world.expect_rows("dead_letters", 0).await
}

#[tokio::test]
async fn a_broker_killed_and_restarted_loses_nothing() -> Result<()> {
    let mut world = World::durable().await?;
    let mut lane = world.lane().await?;
    world.send(&world.btc_credit("2")).await?;

    world.nats.kill().await?;
    world.nats.restart().await?;
    step_until_idle_at(&mut lane, 2).await?;
    world.send(&world.btc_credit("4")).await?;
    drain(&mut lane).await?;

    assert_eq!(world.btc().await?, "7");
    Ok(())
}

/// Returns the consumer of the only lane that reads.
async fn only_consumer(world: &World) -> Result<Consumer<pull::Config>> {
    let stream = world.jetstream().get_stream("TRADING").await?;
    let names: Vec<String> = stream.consumer_names().try_collect().await?;
    let [name] = names.as_slice() else {
        panic!("{names:?}")
    };
    let consumer = stream.get_consumer(name).await;
    consumer.map_err(|error| anyhow::anyhow!(error))
}

/// A second client takes the delivery, and no further message shows the hole.
#[tokio::test]
async fn a_lost_delivery_is_detected_while_the_lane_is_idle() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let mut consumer = only_consumer(&world).await?;
    let thief = consumer.batch().max_messages(1).expires(WAIT);
    let mut thief = thief.messages().await?;
    eventually("two pulls that wait", WAIT, async || {
        let waiting = consumer.info().await?.num_waiting;
        ensure!(waiting == 2, "{waiting}");
        Ok(())
    })
    .await?;

    // The server serves pulls in turn.
    world.send_credits(2).await?;
    ensure!(thief.next().await.is_some(), "nothing was stolen");
    step_until_idle_at(&mut lane, 3).await?;

    assert_eq!(world.btc().await?, "3");
    Ok(())
}
