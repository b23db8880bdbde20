//! A lane that processes valid events, and the ownership of lanes.

use crate::world::{LANES, World, drain, last_step, seize, step};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::Duration;
use tiris_domain::event::Kind;
use tiris_domain::lane::LaneKey;
use tiris_ingest::context::Context;
use tiris_ingest::lane::{Counts, Lane, Step};
use uuid::Uuid;

/// Publishes an order's lock, fill and unlock, after a credit of 2 BTC.
async fn send_trade(world: &World) -> Result<()> {
    let credit = world.credit(world.currency, "btc", "2");
    let mut lock = world.lock("0.5");
    lock["related_order_id"] = json!("o-1");
    let mut fill = world.fill("3", "0.1");
    fill["fill"]["fee"] = json!("0.0003");
    let fields = json!({
        "sub_account_id": world.currency,
        "symbol": "BTC",
        "amount": 0.1997,
        "related_order_id": "o-1",
    });
    let unlock = world.event(Kind::BalanceUnlocked, fields);
    world.send_all(&[credit, lock, fill, unlock]).await
}

#[tokio::test]
async fn a_trade_of_a_bot_becomes_balances_postings_and_logs() -> Result<()> {
    let world = World::new().await?;

    send_trade(&world).await?;
    world
        .run_until("four logs", async || {
            world.expect_rows("trading_logs", 4).await
        })
        .await?;

    assert_eq!(world.balance(world.stock).await?, "3");
    assert_eq!(world.btc().await?, "1.6997");
    world.expect_rows("holds", 0).await?;
    let locked = "sub_accounts WHERE locked <> 0";
    world.expect_rows(locked, 0).await?;
    world.expect_rows("dead_letters", 0).await?;
    let of_trade = "transactions WHERE reason = 'long'";
    world.expect_rows(of_trade, 2).await?;
    let log = "trading_logs WHERE order_id = 'o-1' AND type = 'long' AND postings = 2";
    world.expect_rows(log, 1).await?;
    let info: Value = sqlx::query_scalar("SELECT info FROM trading_logs WHERE type = 'long'")
        .fetch_one(world.pool())
        .await?;
    assert_eq!(info["source"], "test-bot");
    assert!(info["broker_time"].is_string(), "{info}");
    Ok(())
}

#[tokio::test]
async fn signals_errors_and_heartbeats_of_a_bot_are_stored() -> Result<()> {
    let world = World::new().await?;

    let events = [world.signal(), world.error(), world.heartbeat()];
    world.send_all(&events).await?;

    world
        .run_until("two logs and a heartbeat", async || {
            world.expect_rows("trading_logs", 2).await?;
            let healthy = "bots WHERE status = 'healthy'";
            world.expect_rows(healthy, 1).await
        })
        .await?;
    world.expect_rows("dead_letters", 0).await
}

#[tokio::test]
async fn a_heartbeat_counts_at_most_a_minute_ahead_of_the_broker() -> Result<()> {
    let world = World::new().await?;
    let now = chrono::Utc::now();
    let mut ahead = world.heartbeat();
    ahead["timestamp"] = json!("2082-01-01T00:00:00Z");
    let mut real = world.heartbeat();
    real["timestamp"] = json!(now.to_rfc3339());
    real["status"] = json!("unhealthy");

    world.send(&ahead).await?;
    world
        .run_until("the time of the broker", async || {
            let seen = "bots WHERE status = 'healthy' AND last_seen_at BETWEEN now() - interval '1 minute' AND now() \
                        AND info #>> '{raw,timestamp}' = '2082-01-01T00:00:00.000000000Z'";
            world.expect_rows(seen, 1).await
        })
        .await?;
    world.send(&real).await?;

    world
        .run_until("the real heartbeat", async || {
            world
                .expect_rows("bots WHERE status = 'unhealthy' AND NOT info ? 'raw'", 1)
                .await
        })
        .await?;
    let seen: chrono::DateTime<chrono::Utc> = sqlx::query_scalar("SELECT last_seen_at FROM bots")
        .fetch_one(world.pool())
        .await?;
    assert_eq!(seen.timestamp_micros(), now.timestamp_micros());
    Ok(())
}

#[tokio::test]
async fn an_asset_may_have_a_name_in_any_script() -> Result<()> {
    let world = World::new().await?;
    let stock = Uuid::now_v7();
    world.open_account(stock, "币安人生").await?;
    let mut fill = world.fill("1000", "0.0001");
    fill["sub_account_id"] = json!(stock);
    fill["symbol"] = json!("币安人生/btc");
    fill["fill"]["stock_account_id"] = json!(stock);

    world.send_all(&[world.btc_credit("1"), fill]).await?;
    world
        .run_until("a trade", async || {
            world
                .expect_rows("transactions WHERE reason = 'long'", 2)
                .await
        })
        .await?;

    assert_eq!(world.balance(stock).await?, "1000");
    assert_eq!(world.btc().await?, "0.9");
    world.expect_rows("dead_letters", 0).await
}

#[tokio::test]
async fn an_account_keeps_a_symbol_of_an_earlier_version() -> Result<()> {
    let world = World::new().await?;
    let account = Uuid::now_v7();
    world.open_account(account, "USD(~)").await?;
    let mut other = world.btc_credit("1");
    other["sub_account_id"] = json!(account);

    world.send_all(&[other, world.btc_credit("2")]).await?;
    world
        .run_until("a credit and a dead letter", async || {
            world.expect_dead_letters("SYMBOL_MISMATCH", 1).await?;
            world.expect_rows("transactions", 1).await
        })
        .await
}

#[tokio::test]
async fn long_numbers_in_beliefs_and_metadata_refuse_no_event() -> Result<()> {
    let world = World::new().await?;
    let believed = "5.0999999999999996447286321199499070644378662109375";
    let price = "1461446703485210103287273052203988822378723970341";
    let mut belief = world.btc_credit("5");
    belief["new_balance"] = json!(believed);
    let metadata = world.btc_credit("5").to_string();
    let metadata = metadata.replacen(
        '{',
        &format!("{{\"metadata\":{{\"sqrtPriceX96\":{price}}},"),
        1,
    );

    world.send(&belief).await?;
    world.send_bytes(metadata).await?;
    world
        .run_until("two credits", async || {
            world.expect_rows("transactions", 2).await
        })
        .await?;

    assert_eq!(world.btc().await?, "10");
    let kept: Vec<String> = sqlx::query_scalar(
        "SELECT coalesce(info #>> '{raw,new_balance}', info #>> '{metadata,sqrtPriceX96}') FROM trading_logs \
         ORDER BY timestamp, id",
    )
    .fetch_all(world.pool())
    .await?;
    assert_eq!(kept, [believed, price]);
    Ok(())
}

#[tokio::test]
async fn only_the_log_stores_metadata_and_only_up_to_its_limit() -> Result<()> {
    let world = World::new().await?;
    let mut usual = world.btc_credit("1");
    usual["metadata"] = json!({"run": 7});
    let mut excessive = world.btc_credit("2");
    let keys = (0..4_800).map(|key| (format!("k{key}"), json!(1)));
    excessive["metadata"] = Value::Object(keys.collect());

    world.send_all(&[usual, excessive]).await?;
    world
        .run_until("two credits", async || {
            world.expect_rows("transactions", 2).await
        })
        .await?;

    assert_eq!(world.btc().await?, "3");
    let with_metadata = "WHERE info ? 'metadata'";
    world
        .expect_rows(&format!("trading_logs {with_metadata}"), 1)
        .await?;
    world
        .expect_rows(&format!("transactions {with_metadata}"), 0)
        .await?;
    let of_bot = "transactions WHERE info->>'source' = 'test-bot' AND info ? 'broker_time'";
    world.expect_rows(of_bot, 2).await?;
    let why = "SELECT length(info->'left_out'->>'metadata')::bigint FROM trading_logs WHERE info ? 'left_out'";
    assert!(world.number(why).await? > 0);
    world.expect_rows("dead_letters", 0).await
}

#[tokio::test]
async fn amounts_are_exact_as_number_and_as_text() -> Result<()> {
    let world = World::new().await?;
    for amount in [json!(0.1), json!("0.1")] {
        let mut event = world.btc_credit("1");
        event["amount"] = amount;
        world.send(&event).await?;
    }

    // Not by a JSON library, which may format numbers differently.
    for amount in [
        "1e-8",
        "\"1e-8\"",
        "123456789012345.123456789012",
        "\"123456789012345.123456789012\"",
    ] {
        let event = world.credit(world.stock, "ETH", "AMOUNT").to_string();
        let event = event.replace("\"AMOUNT\"", amount);
        world.send_bytes(event).await?;
    }
    world
        .run_until("six events", async || {
            world.expect_rows("transactions", 6).await
        })
        .await?;

    assert_eq!(world.btc().await?, "0.2");
    let eth = world.balance(world.stock).await?;
    assert_eq!(eth, "246913578024690.246913598024");
    Ok(())
}

#[tokio::test]
async fn a_repeated_event_changes_nothing() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let event = world.btc_credit("5");
    let mut relabelled = event.clone();
    relabelled["metadata"] = json!({"try": 2});
    relabelled["amount"] = json!(5.0);

    let events = [event.clone(), event.clone(), relabelled];
    world.send_all(&events).await?;
    drain(&mut lane).await?;
    assert_eq!(world.btc().await?, "6");

    world.send(&event).await?;
    drain(&mut lane).await?;
    assert_eq!(world.btc().await?, "6");
    world.expect_rows("dead_letters", 0).await
}

#[tokio::test]
async fn an_event_with_a_reused_id_becomes_a_dead_letter() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let event = world.btc_credit("5");
    let mut other = event.clone();
    other["amount"] = json!("6");

    world.send_all(&[event, other]).await?;
    drain(&mut lane).await?;

    assert_eq!(world.btc().await?, "6");
    let reused = "dead_letters WHERE code = 'EVENT_ID_REUSED' AND class = 'rejected'";
    world.expect_rows(reused, 1).await?;
    world.expect_rows("dead_letters", 1).await
}

#[tokio::test]
async fn a_worker_that_lost_its_lane_cannot_write() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    let mut old = seize(world.context(), id).await?;
    drain(&mut old).await?;
    world.send(&world.btc_credit("5")).await?;
    let mut new = seize(world.context(), id).await?;

    // The old owner may need a step to notice that its consumer is gone.
    let last = loop {
        match step(&mut old).await {
            Step::Idle | Step::Waiting(_) => {}
            other => break other,
        }
    };

    assert_eq!(last, Step::Lost);
    assert_eq!(world.btc().await?, "1");
    drain(&mut new).await?;
    assert_eq!(world.btc().await?, "6");
    Ok(())
}

/// Moves the stored cursor, as the restore of a backup or a commit with a lost response does.
async fn move_stored_cursor(world: &World, lane: u16, cursor: u64) -> Result<()> {
    sqlx::query(
        "UPDATE ingest_lanes SET cursor = $1, fingerprint = NULL WHERE stream = 'TRADING' AND lane = $2",
    )
    .bind(i64::try_from(cursor)?)
    .bind(i32::from(lane))
    .execute(world.pool())
    .await?;
    Ok(())
}

/// Drains the lane, and sums the counts of its batches.
async fn drain_counting(lane: &mut Lane) -> Result<Counts> {
    let mut counts = Counts::default();
    loop {
        match step(lane).await {
            Step::Committed(more) => {
                counts.applied += more.applied;
                counts.duplicate += more.duplicate;
            }
            Step::Narrowed | Step::Followed => {}
            Step::Idle => return Ok(counts),
            other => anyhow::bail!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_lane_continues_from_the_stored_cursor() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    let mut lane = seize(world.context(), id).await?;
    drain(&mut lane).await?;
    let before = lane.cursor();
    let last = world.send(&world.btc_credit("2")).await?;
    drain(&mut lane).await?;
    assert_eq!(lane.cursor(), last);

    move_stored_cursor(&world, id.lane, before).await?;
    world.send(&world.btc_credit("4")).await?;
    let counts = drain_counting(&mut lane).await?;

    assert_eq!(counts.applied, 1);
    assert_eq!(counts.duplicate, 1);
    assert_eq!(world.btc().await?, "7");
    Ok(())
}

#[tokio::test]
async fn reads_a_backlog_of_the_longest_messages() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    for _ in 0..80 {
        // The second exceeds the limit of an event, but not that of the stream.
        for kib in [64, 67] {
            let mut event = world.btc_credit("1").to_string().into_bytes();
            event.resize(kib * 1024, b' ');
            world.send_bytes(event).await?;
        }
    }

    drain(&mut seize(world.context(), id).await?).await?;

    assert_eq!(world.btc().await?, "81");
    world.expect_dead_letters("PAYLOAD_TOO_LARGE", 80).await
}

/// Returns a lane without events of the world's user, and a context in which its cursor moves immediately.
fn idle_lane(world: &World, own: LaneKey) -> (LaneKey, Context) {
    let lane = (own.lane + 1) % LANES;
    let context = Context {
        idle_move: Duration::ZERO,
        ..world.context()
    };
    (LaneKey { lane, ..own }, context)
}

#[tokio::test]
async fn an_idle_lane_moves_its_cursor_past_other_lanes() -> Result<()> {
    let world = World::new().await?;
    let own = world.own_lane().await?;
    let (idle, context) = idle_lane(&world, own);
    let last = world.send(&world.btc_credit("1")).await?;

    let mut lane = seize(context.clone(), idle).await?;
    assert_eq!(last_step(&mut lane).await, Step::Idle);
    assert_eq!(lane.cursor(), 0, "moves only at the second check");
    drain(&mut lane).await?;

    assert_eq!(lane.cursor(), last);
    let cursor: i64 = sqlx::query_scalar(
        "SELECT cursor FROM ingest_lanes WHERE stream = 'TRADING' AND lane = $1 AND fingerprint IS NOT NULL",
    )
    .bind(i32::from(idle.lane))
    .fetch_one(world.pool())
    .await?;
    assert_eq!(u64::try_from(cursor)?, last);
    // The lane with messages is not moved past unprocessed ones.
    let mut busy = seize(context, own).await?;
    drain(&mut busy).await?;
    assert_eq!(world.btc().await?, "2");
    Ok(())
}

/// Publishes an event of an unknown user into a lane, which is found by trying. Returns the user and the sequence.
async fn send_into(world: &World, lane: u16) -> Result<(Uuid, u64)> {
    loop {
        let user = Uuid::now_v7();
        let mut event = world.btc_credit("1");
        event["user_id"] = json!(user);
        let subject = Kind::BalanceUpdated.subject_of(user);
        let stored = world.publish(&subject, &event).await?;
        if stored.lane()? == lane {
            return Ok((user, stored.sequence));
        }
    }
}

#[tokio::test]
async fn a_moved_cursor_skips_no_message_of_the_lane() -> Result<()> {
    let world = World::new().await?;
    let (idle, context) = idle_lane(&world, world.own_lane().await?);
    let mut lane = seize(context.clone(), idle).await?;
    drain(&mut lane).await?;
    drain(&mut lane).await?;
    assert_ne!(lane.cursor(), 0);

    let (user, sequence) = send_into(&world, idle.lane).await?;
    // Another worker takes the lane; the message at the moved cursor is not the lane's own.
    let mut lane = seize(context, idle).await?;
    drain(&mut lane).await?;

    let letters: Vec<i64> =
        sqlx::query_scalar("SELECT stream_seq FROM dead_letters WHERE user_id = $1")
            .bind(user)
            .fetch_all(world.pool())
            .await?;
    assert_eq!(letters, [i64::try_from(sequence)?]);
    Ok(())
}
