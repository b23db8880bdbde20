//! Concurrent requests with one key, and failures of the request that holds it.

use super::{Keyed, assert_replayed, is_replayed};
use crate::world::World;
use anyhow::ensure;
use serde_json::json;
use sqlx::FromRow;
use std::time::Duration;
use tiris_testing::eventually;

const LIMIT: Duration = Duration::from_secs(10);

/// The body of a deposit of 1.
const ONE: &str = r#"{"amount":"1"}"#;

/// A session of the database that waits for a lock.
#[derive(Debug, FromRow)]
struct Waiting {
    pid: i32,
    query: String,
}

impl Waiting {
    fn waits_for_key(&self) -> bool {
        self.query.contains("idempotency_keys")
    }
}

/// Waits until exactly `count` sessions wait for locks, and returns them.
async fn waiting(world: &World, count: usize) -> Vec<Waiting> {
    eventually("sessions that wait", LIMIT, async || {
        let found: Vec<Waiting> = world
            .rows(
                "SELECT pid, query FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .await;
        ensure!(found.len() == count, "{found:?}");
        Ok(found)
    })
    .await
    .expect("they wait")
}

#[tokio::test]
async fn one_replica_executes_and_the_other_replays() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);
    let here = Keyed::new(&user, "k");
    let there = Keyed {
        address: world.replica().await,
        ..Keyed::new(&user, "k")
    };
    let holder = world.lock_account(&book.stock).await;
    let release = async {
        let sessions = waiting(&world, 2).await;
        let on_key = sessions.iter().filter(|session| session.waits_for_key());
        assert_eq!(on_key.count(), 1, "the other holds the key: {sessions:?}");
        holder.rollback().await.expect("released");
    };

    let (one, other, ()) = tokio::join!(here.post(&path, ONE), there.post(&path, ONE), release);

    if is_replayed(&one) {
        assert_replayed(&other, &one);
    } else {
        assert_replayed(&one, &other);
    }
    assert_eq!(user.balance(&book.stock).await, "1");
}

#[tokio::test]
async fn a_waiting_request_takes_over_after_a_failure() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);
    let keyed = Keyed::new(&user, "k");
    let holder = world.lock_account(&book.stock).await;
    let kill = async {
        let sessions = waiting(&world, 2).await;
        let worker = sessions.iter().find(|session| !session.waits_for_key());
        let worker = worker.expect("one session works").pid;
        world.run("SELECT pg_terminate_backend($1)", worker).await;

        // The session waits for the key until the ended one has released it.
        eventually("one session that works", LIMIT, async || {
            let left = waiting(&world, 1).await;
            ensure!(left[0].query.contains("sub_accounts"), "{left:?}");
            Ok(())
        })
        .await
        .expect("it takes over");
        holder.rollback().await.expect("released");
    };

    let (one, other, ()) = tokio::join!(keyed.post(&path, ONE), keyed.post(&path, ONE), kill);

    let is_first = one.status.is_success();
    let (dead, done) = if is_first { (other, one) } else { (one, other) };
    dead.assert_error(503, "DATABASE_UNAVAILABLE");
    assert_replayed(&done, &keyed.post(&path, ONE).await);
    assert_eq!(user.balance(&book.stock).await, "1");
}

#[tokio::test]
async fn the_wait_for_a_key_is_limited() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let keyed = Keyed::new(&user, "k");
    let body = json!({"name": "grid", "type": "paper"}).to_string();
    let insert = "INSERT INTO idempotency_keys (user_id, method, path, key, body_hmac, status, expires_at) \
                  VALUES ($1, 'POST', '/v1/tradings', 'k', '', 201, now() + interval '1 day')";
    let holder = world.lock(insert, user.id.0).await;

    let late = keyed.post("/v1/tradings", &body).await;
    late.assert_error(503, "DATABASE_UNAVAILABLE");

    holder.rollback().await.expect("released");
    let created = keyed.post("/v1/tradings", &body).await;
    assert!(!is_replayed(&created), "{created}");
    assert_eq!(user.get("/v1/tradings").await.list("tradings").len(), 1);
}

/// Rejects two of three bookings as too late.
const TWO_TOO_LATE: &str = "CREATE SEQUENCE tries; GRANT USAGE ON SEQUENCE tries TO tiris_api; \
    CREATE OR REPLACE FUNCTION assert_fresh(batch_timestamp timestamptz) RETURNS void \
    LANGUAGE plpgsql AS $$ BEGIN IF batch_timestamp IS NOT NULL AND nextval('tries') % 3 <> 0 THEN \
    RAISE EXCEPTION 'late' USING ERRCODE = 'serialization_failure'; END IF; END $$";

#[tokio::test]
async fn a_late_booking_is_retried_and_takes_effect_once() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);
    let keyed = Keyed::new(&user, "k");
    world.execute(TWO_TOO_LATE).await;

    let first = keyed.post(&path, ONE).await;
    assert_replayed(&first, &keyed.post(&path, ONE).await);
    user.post_text(&path, ONE).await.data();

    assert_eq!(user.balance(&book.stock).await, "2");
    // Three for the request with a key and three for the request without.
    let tries: i64 = world.scalar("SELECT last_value FROM tries").await;
    assert_eq!(tries, 6);
}
