//! What a lane does with good events, and who may do it.

use crate::world::{LANES, World, drain};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::Duration;
use tiris_domain::event::Kind;
use tiris_domain::lane::LaneKey;
use tiris_ingest::lane::{Counts, Lane, Step};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[tokio::test]
async fn a_trade_of_a_bot_becomes_balances_postings_logs_and_a_heartbeat() -> Result<()> {
    let world = World::new().await?;
    let (stock, currency) = (world.stock, world.currency);
    world
        .send(Kind::BalanceUpdated, &world.credit(currency, "btc", "2"))
        .await?;
    let lock = json!({"sub_account_id": currency, "symbol": "BTC", "amount": "0.5", "related_order_id": "o-1"});
    world
        .send(Kind::BalanceLocked, &world.with(Kind::BalanceLocked, lock))
        .await?;
    world
        .send(Kind::OrderFilled, &world.fill("3", "0.1", "0.0003"))
        .await?;
    let unlock = json!({"sub_account_id": currency, "symbol": "BTC", "amount": 0.1997, "related_order_id": "o-1"});
    world
        .send(
            Kind::BalanceUnlocked,
            &world.with(Kind::BalanceUnlocked, unlock),
        )
        .await?;
    let signal =
        json!({"signal_type": "buy", "symbol": "ETH/BTC", "confidence": 0.75, "strategy": "sma"});
    world
        .send(Kind::Signal, &world.with(Kind::Signal, signal))
        .await?;
    let error = json!({"error_code": "E1", "error_message": "no funds", "severity": "high", "component": "exchange"});
    world
        .send(Kind::Error, &world.with(Kind::Error, error))
        .await?;
    let beat = json!({"status": "healthy", "component": "trader", "metrics": {"load": 0.5}});
    world
        .send(Kind::Heartbeat, &world.with(Kind::Heartbeat, beat))
        .await?;
    world
        .run_until("six logs and a heartbeat", async || {
            world
                .expect_count("SELECT count(*) FROM trading_logs", 6)
                .await?;
            world
                .expect_count("SELECT count(*) FROM bots WHERE status = 'healthy'", 1)
                .await
        })
        .await?;
    assert_eq!(world.balance(stock).await?, "3");
    assert_eq!(world.balance(currency).await?, "1.6997");
    world.expect_count("SELECT count(*) FROM holds", 0).await?;
    world
        .expect_count("SELECT count(*) FROM sub_accounts WHERE locked <> 0", 0)
        .await?;
    world
        .expect_count("SELECT count(*) FROM dead_letters", 0)
        .await?;
    world
        .expect_count("SELECT count(*) FROM transactions WHERE reason = 'long'", 2)
        .await?;
    let (log_type, postings, info): (String, i16, Value) = sqlx::query_as(
        "SELECT type, postings, info FROM trading_logs WHERE order_id = 'o-1' AND type = 'long'",
    )
    .fetch_one(world.pool())
    .await?;
    assert_eq!((log_type.as_str(), postings), ("long", 2));
    assert_eq!(info["source"], "test-bot");
    assert!(info["broker_time"].is_string());
    Ok(())
}

#[tokio::test]
async fn amounts_arrive_exact_as_number_and_as_text() -> Result<()> {
    let world = World::new().await?;
    for amount in [json!(0.1), json!("0.1")] {
        let mut event = world.credit(world.currency, "BTC", "1");
        event["amount"] = amount;
        world.send(Kind::BalanceUpdated, &event).await?;
    }
    // Written by hand: a JSON library may spell numbers its own way.
    for amount in [
        "1e-8",
        "\"1e-8\"",
        "123456789012345.123456789012",
        "\"123456789012345.123456789012\"",
    ] {
        let event = world
            .credit(world.stock, "ETH", "AMOUNT")
            .to_string()
            .replace("\"AMOUNT\"", amount);
        world
            .publish_bytes(
                &Kind::BalanceUpdated.subject_of(world.user),
                event.into_bytes(),
            )
            .await?;
    }
    world
        .run_until("six events", async || {
            world
                .expect_count("SELECT count(*) FROM transactions", 6)
                .await
        })
        .await?;
    assert_eq!(world.balance(world.currency).await?, "0.2");
    assert_eq!(
        world.balance(world.stock).await?,
        "246913578024690.246913598024"
    );
    Ok(())
}

#[tokio::test]
async fn the_same_events_again_change_nothing_and_a_reused_id_is_put_aside() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    let mut lane = Lane::seize(world.context(), id).await?;
    let event = world.credit(world.currency, "BTC", "5");
    let mut other = event.clone();
    other["amount"] = json!("6");
    let mut relabelled = event.clone();
    relabelled["metadata"] = json!({"try": 2});
    relabelled["amount"] = json!(5.0);
    for event in [&event, &event, &relabelled] {
        world.send(Kind::BalanceUpdated, event).await?;
    }
    assert_eq!(drain(&mut lane).await, Step::Idle);
    assert_eq!(world.balance(world.currency).await?, "6");
    world.send(Kind::BalanceUpdated, &event).await?;
    world.send(Kind::BalanceUpdated, &other).await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    assert_eq!(world.balance(world.currency).await?, "6");
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE code = 'EVENT_ID_REUSED' AND class = 'rejected'",
            1,
        )
        .await?;
    world
        .expect_count("SELECT count(*) FROM dead_letters", 1)
        .await
}

#[tokio::test]
async fn a_worker_that_lost_its_lane_cannot_write() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    let mut old = Lane::seize(world.context(), id).await?;
    assert_eq!(drain(&mut old).await, Step::Idle);
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "5"),
        )
        .await?;
    let mut new = Lane::seize(world.context(), id).await?;
    let stop = CancellationToken::new();
    // The old owner may need a step to notice that its consumer is gone.
    let last = loop {
        match old.step(&stop).await {
            Step::Idle | Step::Waiting(_) => {}
            other => break other,
        }
    };
    assert_eq!(last, Step::Lost);
    assert_eq!(world.balance(world.currency).await?, "1");
    assert_eq!(drain(&mut new).await, Step::Idle);
    assert_eq!(world.balance(world.currency).await?, "6");
    Ok(())
}

#[tokio::test]
async fn a_lane_goes_on_from_its_cursor_and_follows_the_database_when_that_moved() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    let context = world.context();
    let mut lane = Lane::seize(context.clone(), id).await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    let before = lane.cursor();
    let last = world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "2"),
        )
        .await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    assert_eq!(lane.cursor(), last);
    // As after a restore of an earlier copy, or a commit whose answer was lost: the stored cursor decides.
    sqlx::query(
        "UPDATE ingest_lanes SET cursor = $1, fingerprint = NULL WHERE stream = 'TRADING' AND lane = $2",
    )
    .bind(i64::try_from(before)?)
    .bind(i32::from(id.lane))
    .execute(world.pool())
    .await?;
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "4"),
        )
        .await?;
    let mut counts = Counts::default();
    let stop = CancellationToken::new();
    loop {
        match lane.step(&stop).await {
            Step::Committed(more) => {
                counts.applied += more.applied;
                counts.duplicate += more.duplicate;
            }
            Step::Followed => {}
            Step::Idle => break,
            other => anyhow::bail!("{other:?}"),
        }
    }
    assert_eq!(
        counts,
        Counts {
            applied: 1,
            duplicate: 1,
            ..Counts::default()
        }
    );
    assert_eq!(world.balance(world.currency).await?, "7");
    Ok(())
}

#[tokio::test]
async fn a_backlog_of_the_longest_messages_is_read_to_its_end() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    let subject = Kind::BalanceUpdated.subject_of(world.user);
    let mut last = 0;
    for number in 0..160 {
        let mut event = world
            .credit(world.currency, "BTC", "1")
            .to_string()
            .into_bytes();
        // Every second one is longer than an event may be, and not longer than the stream takes.
        event.resize(
            if number % 2 == 0 {
                64 * 1024
            } else {
                127 * 1024
            },
            b' ',
        );
        last = world.publish_bytes(&subject, event).await?.0;
    }
    let mut lane = Lane::seize(world.context(), id).await?;
    let stop = CancellationToken::new();
    while lane.cursor() < last {
        let step = lane.step(&stop).await;
        assert!(matches!(step, Step::Committed(_) | Step::Idle), "{step:?}");
    }
    assert_eq!(world.balance(world.currency).await?, "81");
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE code = 'PAYLOAD_TOO_LARGE'",
            80,
        )
        .await
}

#[tokio::test]
async fn an_idle_lane_moves_its_cursor_behind_the_messages_of_other_lanes_and_then_misses_none_of_its_own()
-> Result<()> {
    let world = World::new().await?;
    let own = world.own_lane().await?;
    let idle = LaneKey {
        lane: (own.lane + 1) % LANES,
        ..own
    };
    let mut context = world.context();
    context.idle_move = Duration::ZERO;
    let last = world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "1"),
        )
        .await?;
    let mut lane = Lane::seize(context.clone(), idle).await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    assert_eq!(
        lane.cursor(),
        0,
        "the end of the stream is believed only at the second look"
    );
    assert_eq!(drain(&mut lane).await, Step::Idle);
    assert_eq!(lane.cursor(), last);
    let (cursor, fingerprint): (i64, Option<Vec<u8>>) = sqlx::query_as(
        "SELECT cursor, fingerprint FROM ingest_lanes WHERE stream = 'TRADING' AND lane = $1",
    )
    .bind(i32::from(idle.lane))
    .fetch_one(world.pool())
    .await?;
    assert_eq!(u64::try_from(cursor)?, last);
    assert!(fingerprint.is_some());
    // The lane with the messages is not moved past what it has not done.
    let mut busy = Lane::seize(context.clone(), own).await?;
    assert_eq!(drain(&mut busy).await, Step::Idle);
    assert_eq!(world.balance(world.currency).await?, "2");
    // A user of the idle lane comes: found by trying, since only the broker knows its hash.
    let (user, seq) = loop {
        let user = Uuid::now_v7();
        let subject = Kind::BalanceUpdated.subject_of(user);
        let mut event = world.credit(world.currency, "BTC", "1");
        event["user_id"] = json!(user);
        let (seq, stored) = world.publish(&subject, &event).await?;
        if stored.split('.').nth(3) == Some(idle.lane.to_string().as_str()) {
            break (user, seq);
        }
    };
    // Another worker takes the lane from the moved cursor, whose message is not the lane's own.
    let mut lane = Lane::seize(context, idle).await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    let letters: Vec<i64> =
        sqlx::query_scalar("SELECT stream_seq FROM dead_letters WHERE user_id = $1")
            .bind(user)
            .fetch_all(world.pool())
            .await?;
    assert_eq!(letters, [i64::try_from(seq)?]);
    Ok(())
}
