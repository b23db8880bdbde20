//! Heartbeats of bots.

use crate::world::World;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, json};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use tiris_domain::ids::{TradingId, new_id};
use tiris_domain::states::BotStatus;
use tiris_store::bots::{COMPONENTS_PER_USER_MAX, Heartbeat, upsert_latest};
use tracing_subscriber::fmt::MakeWriter;

/// Time of the first heartbeat of the known component.
const FIRST: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn heartbeat(
    world: &World,
    component: &str,
    trading: TradingId,
    seen_at: DateTime<Utc>,
) -> Heartbeat {
    Heartbeat {
        event_id: String::new(),
        user: world.user,
        trading,
        component: component.to_owned(),
        status: BotStatus::Healthy,
        seen_at,
        is_clock_ahead: false,
        metrics: Map::new(),
        info: Map::new(),
    }
}

async fn store(world: &World, heartbeats: &[Heartbeat]) {
    let heartbeats = Vec::from_iter(heartbeats);
    let mut connection = world.pool().acquire().await.expect("a connection");
    upsert_latest(&mut connection, &heartbeats)
        .await
        .expect("stored");
}

#[tokio::test]
async fn limits_the_components_of_a_user() {
    let world = World::new().await;
    let trading = world.trading;
    store(&world, &[heartbeat(&world, "known", trading, FIRST)]).await;
    for _ in 0..2 {
        let invented: Vec<Heartbeat> = (0..COMPONENTS_PER_USER_MAX + 5)
            .map(|number| {
                let component = format!("invented-{number}");
                heartbeat(&world, &component, TradingId(new_id()), FIRST)
            })
            .collect();
        store(&world, &invented).await;
    }

    let later = FIRST + TimeDelta::seconds(1);
    let known = heartbeat(&world, "known", trading, later);
    let new = heartbeat(&world, "new", trading, later);
    store(&world, &[known, new]).await;

    assert_eq!(world.count("bots").await, COMPONENTS_PER_USER_MAX);
    let last: DateTime<Utc> = sqlx::query_scalar("SELECT max(last_seen_at) FROM bots")
        .fetch_one(world.pool())
        .await
        .expect("a time");
    assert_eq!(last, later);
}

/// Returns a heartbeat of a clock that is years ahead, which counts at the broker's time.
fn ahead(world: &World, broker_time: DateTime<Utc>) -> Heartbeat {
    let mut ahead = heartbeat(world, "strategy", world.trading, broker_time);
    ahead.is_clock_ahead = true;
    ahead.info = json!({"raw": {"timestamp": "2082-01-01T00:00:00Z"}})
        .as_object()
        .expect("an object")
        .clone();
    ahead
}

fn unhealthy(world: &World, seen_at: DateTime<Utc>) -> Heartbeat {
    Heartbeat {
        status: BotStatus::Unhealthy,
        ..heartbeat(world, "strategy", world.trading, seen_at)
    }
}

async fn stored(world: &World) -> (String, DateTime<Utc>) {
    sqlx::query_as("SELECT status, last_seen_at FROM bots")
        .fetch_one(world.pool())
        .await
        .expect("one component")
}

#[tokio::test]
async fn a_clock_that_was_ahead_hides_no_later_heartbeat() {
    let broker_time = Utc::now();
    // Sent before the broker stored the first one.
    let sent = DateTime::from_timestamp_micros(broker_time.timestamp_micros() - 5_000);
    let sent = sent.expect("a time");

    for in_one_batch in [true, false] {
        let world = World::new().await;
        let beats = [ahead(&world, broker_time), unhealthy(&world, sent)];
        let size = if in_one_batch { 2 } else { 1 };

        for batch in beats.chunks(size) {
            store(&world, batch).await;
        }

        assert_eq!(stored(&world).await, ("unhealthy".to_owned(), sent));
    }
}

#[tokio::test]
async fn a_stored_time_in_the_future_is_replaced() {
    let world = World::new().await;
    let sent = DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).expect("a time");
    for (ahead, replaced) in [(59, false), (3_600, true)] {
        let future = sent + TimeDelta::seconds(ahead);
        sqlx::query("DELETE FROM bots")
            .execute(world.pool())
            .await
            .expect("deleted");
        store(
            &world,
            &[heartbeat(&world, "strategy", world.trading, future)],
        )
        .await;

        store(&world, &[unhealthy(&world, sent)]).await;

        let expected = if replaced {
            ("unhealthy".to_owned(), sent)
        } else {
            ("healthy".to_owned(), future)
        };
        assert_eq!(stored(&world).await, expected, "{ahead} s");
    }
}

/// Keeps the log of a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_warning_names_user_trading_and_component() {
    let world = World::new().await;
    let trading = world.trading;
    let all: Vec<Heartbeat> = (0..COMPONENTS_PER_USER_MAX + 2)
        .map(|number| heartbeat(&world, &format!("component-{number:04}"), trading, FIRST))
        .collect();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);

    store(&world, &all).await;

    drop(guard);
    let log = String::from_utf8(log.0.lock().expect("not poisoned").clone()).expect("text");
    let user = world.user;
    let expected =
        format!("user_id={user} trading_id={trading} component=\"component-1000\" ignored=2");
    assert!(log.contains(&expected), "{log}");
}
