//! Trouble: a database that is down, an event nobody foresaw, a broker that restarts.

use crate::world::{WAIT, World, drain};
use anyhow::{Result, ensure};
use async_nats::jetstream::consumer::{Consumer, pull};
use futures_util::{StreamExt, TryStreamExt};
use rust_decimal::Decimal;
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tiris_domain::event::Kind;
use tiris_ingest::lane::{Lane, Step};
use tiris_testing::{NatsSettings, PgServer, PgStop, eventually};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn an_event_that_fails_for_an_unforeseen_reason_is_found_and_the_others_are_applied_in_order()
-> Result<()> {
    let world = World::new().await?;
    world.fail_on_boom().await?;
    let id = world.own_lane().await?;
    for number in 0..9 {
        let mut event = world.credit(world.currency, "BTC", "1");
        if number == 5 {
            event["message"] = json!("boom");
        }
        world.send(Kind::BalanceUpdated, &event).await?;
    }
    let mut lane = Lane::seize(world.context(), id).await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    assert_eq!(world.balance(world.currency).await?, "9");
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE code = 'INTERNAL' AND reason LIKE '%foresaw%'",
            1,
        )
        .await?;
    world
        .expect_count("SELECT count(*) FROM dead_letters", 1)
        .await
}

#[tokio::test]
async fn a_database_that_is_down_makes_the_lane_wait_and_then_apply_the_same_batch_once()
-> Result<()> {
    let mut world = World::new().await?;
    let mut server = PgServer::private().await?;
    let url = server.url("postgres");
    tiris_migrations::up(&url).await?;
    let pool = tiris_runtime::database::pool(
        &crate::world::settings(&url, &world.nats.url())?.database,
        "test",
    )?;
    let shared = world.pool().clone();
    let id = world.own_lane().await?;
    let mut context = world.context();
    context.pool = pool.clone();
    for sql in ["users", "tradings", "sub_accounts"] {
        copy(&shared, &pool, sql).await?;
    }
    let mut lane = Lane::seize(context, id).await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "2"),
        )
        .await?;
    server.stop(PgStop::Immediate).await?;
    let stop = CancellationToken::new();
    let waiting = lane.step(&stop).await;
    assert!(matches!(waiting, Step::Waiting(_)), "{waiting:?}");
    server.restart().await?;
    // Connections of the pool that died with the server fail once each.
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

async fn step_until_idle_at(lane: &mut Lane, cursor: u64) -> Result<()> {
    let stop = CancellationToken::new();
    eventually("an idle lane", WAIT, async || {
        let step = lane.step(&stop).await;
        ensure!(
            step == Step::Idle && lane.cursor() == cursor,
            "{step:?} at {}",
            lane.cursor()
        );
        Ok(())
    })
    .await
}

async fn copy(from: &PgPool, to: &PgPool, table: &'static str) -> Result<()> {
    let (read, write) = match table {
        "users" => (
            "SELECT to_jsonb(t) FROM users t",
            "INSERT INTO users SELECT * FROM jsonb_populate_record(NULL::users, $1)",
        ),
        "tradings" => (
            "SELECT to_jsonb(t) FROM tradings t",
            "INSERT INTO tradings SELECT * FROM jsonb_populate_record(NULL::tradings, $1)",
        ),
        _ => (
            "SELECT to_jsonb(t) FROM sub_accounts t",
            "INSERT INTO sub_accounts SELECT * FROM jsonb_populate_record(NULL::sub_accounts, $1)",
        ),
    };
    let rows: Vec<serde_json::Value> = sqlx::query_scalar(read).fetch_all(from).await?;
    for row in rows {
        sqlx::query(write).bind(row).execute(to).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_table_or_partition_makes_the_lane_wait_and_puts_no_event_aside() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    let mut lane = Lane::seize(world.context(), id).await?;
    let stop = CancellationToken::new();
    // TimescaleDB makes the chunk that is missing.
    let faults = if world.database.history_kind().await? == "native" {
        2
    } else {
        1
    };
    for (break_it, repair) in [
        ("ALTER TABLE trading_logs RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO trading_logs"),
        (
            "DO $$ DECLARE part regclass; BEGIN FOR part IN SELECT inhrelid FROM pg_inherits \
             WHERE inhparent = 'trading_logs'::regclass LOOP EXECUTE 'DROP TABLE ' || part; END LOOP; END $$",
            "SELECT ensure_partitions(now(), 1)",
        ),
    ]
    .into_iter()
    .take(faults)
    {
        sqlx::raw_sql(break_it).execute(world.pool()).await?;
        world.send(Kind::BalanceUpdated, &world.credit(world.currency, "BTC", "1")).await?;
        for _ in 0..4 {
            let step = lane.step(&stop).await;
            ensure!(matches!(step, Step::Waiting(_)), "{step:?}");
        }
        sqlx::raw_sql(repair).execute(world.pool()).await?;
        assert_eq!(drain(&mut lane).await, Step::Idle);
    }
    assert_eq!(
        world.balance(world.currency).await?,
        (1 + faults).to_string()
    );
    world
        .expect_count("SELECT count(*) FROM dead_letters", 0)
        .await
}

#[tokio::test]
async fn a_batch_that_was_not_fresh_at_its_end_is_made_again() -> Result<()> {
    let world = World::new().await?;
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    let before: Decimal = world.balance(world.currency).await?.parse()?;
    sqlx::raw_sql(
        "CREATE SEQUENCE tries; CREATE OR REPLACE FUNCTION assert_fresh(batch_timestamp timestamptz) RETURNS void \
         LANGUAGE plpgsql AS $$ BEGIN IF batch_timestamp IS NOT NULL AND nextval('tries') = 1 THEN \
         RAISE EXCEPTION 'late' USING ERRCODE = 'serialization_failure'; END IF; END $$",
    )
    .execute(world.pool())
    .await?;
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "1"),
        )
        .await?;
    let step = lane.step(&CancellationToken::new()).await;
    ensure!(matches!(step, Step::Waiting(_)), "{step:?}");
    assert_eq!(
        world.balance(world.currency).await?.parse::<Decimal>()?,
        before,
        "nothing of it is there"
    );
    assert_eq!(drain(&mut lane).await, Step::Idle);
    assert_eq!(
        world.balance(world.currency).await?.parse::<Decimal>()?,
        before + Decimal::ONE
    );
    world
        .expect_count("SELECT last_value FROM tries", 2)
        .await?;
    world
        .expect_count("SELECT count(*) FROM dead_letters", 0)
        .await
}

#[tokio::test]
async fn a_batch_too_slow_for_the_databases_limits_is_made_smaller_until_it_fits() -> Result<()> {
    let world = World::new().await?;
    sqlx::raw_sql(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END $$; \
         CREATE TRIGGER dawdle BEFORE INSERT ON trading_logs FOR EACH ROW EXECUTE FUNCTION dawdle()",
    )
    .execute(world.pool())
    .await?;
    let mut context = world.context();
    // One event fits this limit, two do not.
    let options: PgConnectOptions = world.database.url().parse()?;
    context.pool = PgPool::connect_lazy_with(options.options([("statement_timeout", "900ms")]));
    let id = world.own_lane().await?;
    for _ in 1..6 {
        world
            .send(
                Kind::BalanceUpdated,
                &world.credit(world.currency, "BTC", "1"),
            )
            .await?;
    }
    let mut lane = Lane::seize(context, id).await?;
    let stop = CancellationToken::new();
    let mut too_slow = 0;
    while lane.cursor() < 6 {
        if matches!(lane.step(&stop).await, Step::Waiting(_)) {
            too_slow += 1;
            ensure!(too_slow < 20, "the batch does not shrink");
        }
    }
    // The first batch may be a single event; while that is committed the others arrive.
    ensure!(
        too_slow > 0,
        "no batch was too slow, the test proves nothing"
    );
    assert_eq!(world.balance(world.currency).await?, "6");
    world
        .expect_count("SELECT count(*) FROM dead_letters", 0)
        .await
}

#[tokio::test]
async fn a_broker_killed_and_restarted_loses_nothing() -> Result<()> {
    let mut world = World::with_nats(NatsSettings {
        durable: true,
        ..NatsSettings::default()
    })
    .await?;
    let id = world.own_lane().await?;
    let mut lane = Lane::seize(world.context(), id).await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "2"),
        )
        .await?;
    world.nats.kill().await?;
    world.nats.restart().await?;
    step_until_idle_at(&mut lane, 2).await?;
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "4"),
        )
        .await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    assert_eq!(world.balance(world.currency).await?, "7");
    Ok(())
}

/// Nothing tells the lane of a delivery that somebody else got, and no further message comes that would show the hole.
#[tokio::test]
async fn a_delivery_that_never_arrives_is_noticed_while_nothing_else_comes() -> Result<()> {
    let world = World::new().await?;
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    let stream = world.jetstream().get_stream("TRADING").await?;
    let names: Vec<String> = stream.consumer_names().try_collect().await?;
    let [name] = names.as_slice() else {
        panic!("{names:?}")
    };
    let mut consumer: Consumer<pull::Config> = stream
        .get_consumer(name)
        .await
        .map_err(|error| anyhow::anyhow!(error))?;
    let mut thief = consumer
        .batch()
        .max_messages(1)
        .expires(WAIT)
        .messages()
        .await?;
    eventually("two pulls that wait", WAIT, async || {
        let waiting = consumer.info().await?.num_waiting;
        ensure!(waiting == 2, "{waiting}");
        Ok(())
    })
    .await?;
    // The server serves pulls in turn.
    for _ in 0..2 {
        world
            .send(
                Kind::BalanceUpdated,
                &world.credit(world.currency, "BTC", "1"),
            )
            .await?;
    }
    ensure!(thief.next().await.is_some(), "nothing was stolen");
    step_until_idle_at(&mut lane, 3).await?;
    assert_eq!(world.balance(world.currency).await?, "3");
    Ok(())
}
