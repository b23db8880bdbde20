//! Events for the portal and operators: status, dead letters, replays, bots.

mod drift;
pub(crate) mod fixtures;
mod letters;
mod races;

use crate::events::fixtures::store_rejected;
use crate::world::World;
use serde_json::{Value, json};
use tiris_domain::ids::new_id;
use uuid::Uuid;

/// Returns the user and the resource of each audited action of this name.
async fn audited(world: &World, action: &str) -> Vec<(Option<Uuid>, Option<String>)> {
    sqlx::query_as(
        "SELECT user_id, resource_id FROM audit_logs WHERE action = $1 ORDER BY timestamp",
    )
    .bind(action)
    .fetch_all(world.pool())
    .await
    .expect("audit rows")
}

const REPLAYS: &str = "/v1/events/replay";

/// Returns a request to replay events of a month.
fn replay_request() -> Value {
    json!({"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-02-01T00:00:00Z",
           "event_types": ["trading.orders.filled"]})
}

#[tokio::test]
async fn a_replay_of_a_range_is_queued_and_reports_progress() {
    let world = World::start().await;
    let root = world.admin("root").await;

    let created = root.post(REPLAYS, replay_request()).await;
    created.assert_status(201);
    assert_eq!(created.data()["status"], "queued");
    assert_eq!(created.data()["applied"], 0);

    world
        .execute(
            "UPDATE replay_jobs SET status = 'running', applied = 3, \
             progress = '{\"TRADING\": {\"created_at\": 7, \"first\": 5, \"next\": 9, \"last\": 14}}'",
        )
        .await;
    let job = root.get(&format!("{REPLAYS}/{}", created.id())).await;
    assert_eq!(job.data()["status"], "running");
    assert_eq!(job.data()["applied"], 3);
    assert_eq!(job.data()["messages_read"], 4);
    assert_eq!(job.data()["messages"], 10);

    let listed = root.get(REPLAYS).await;
    assert_eq!(listed.list("replays")[0]["id"], created.data()["id"]);
    let rows = audited(&world, "events.replay").await;
    assert_eq!(rows, [(Some(root.id.0), Some(created.id()))]);
}

#[tokio::test]
async fn names_an_invalid_field_of_a_replay() {
    let world = World::start().await;
    let root = world.admin("root").await;

    for (field, value, named) in [
        ("end_time", json!("2025-01-01T00:00:00Z"), "end_time"),
        (
            "event_types",
            json!(["trading.orders.lost"]),
            "trading.orders.lost",
        ),
        ("event_types", json!([]), "event_types"),
        (
            "event_types",
            json!(vec!["trading.orders.filled"; 11]),
            "event_types",
        ),
        ("start_time", json!("yesterday"), "start_time"),
        ("user_id", json!("me"), "user_id"),
    ] {
        let mut wrong = replay_request();
        wrong[field] = value;
        let answer = root.post(REPLAYS, wrong).await;
        answer.assert_error(400, "INVALID_VALUE");
        answer.assert_details(named);
    }
    let unknown = root.get(&format!("{REPLAYS}/{}", new_id())).await;
    unknown.assert_error(404, "NOT_FOUND");
}

const STATUS: &str = "/v1/events/status";

/// Inserts a worker that owns five lanes of each stream.
async fn insert_lanes(world: &World) {
    let insert = "WITH w AS (INSERT INTO ingest_workers (id, owner_token, alive_until, version, host) \
                      VALUES ($1, $1, now() + interval '1 hour', '1.2.3', 'pod-7')) \
                  INSERT INTO ingest_lanes (stream, lane, stream_created_at, owner, lease_until, status, cursor, \
                      lag_messages, lag_exact, lag_seconds) \
                  SELECT s, l, 7, $1, now() + interval '1 hour', 'running', 40, 3, true, 1.250 \
                  FROM unnest(array['TRADING', 'TRADING_SYSTEM']) s, generate_series(0, 4) l";
    world.run(insert, new_id()).await;
}

#[tokio::test]
async fn ingest_without_lanes_is_not_healthy() {
    let world = World::start().await;
    let root = world.admin("root").await;

    let status = root.get(STATUS).await;

    assert_eq!(status.data()["healthy"], false);
}

#[tokio::test]
async fn shows_every_lane_to_an_admin() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    insert_lanes(&world).await;
    let book = ann.book("grid", "10", "10").await;
    store_rejected(&ann, &book, 1, "50").await;

    let status = root.get(STATUS).await;

    let all = status.data();
    assert_eq!(all["healthy"], true);
    assert_eq!(status.list("lanes").len(), 10);
    let lane = &all["lanes"][0];
    assert_eq!(lane["inside"]["host"], "pod-7");
    assert_eq!(lane["lag_messages"], 3);
    assert_eq!(lane["lag_seconds"], 1.25);
    let letters = json!({"malformed": 0, "unresolved": 0, "rejected": 1});
    assert_eq!(lane["inside"]["dead_letters"], letters);
    assert_eq!(all["workers"][0]["lanes"], 10);
    assert_eq!(all["dead_letters"]["rejected"], 1);
}

#[tokio::test]
async fn shows_users_only_health_and_lag_of_their_lanes() {
    let world = World::start().await;
    let user = world.user("ann").await;
    insert_lanes(&world).await;

    let status = user.get(STATUS).await;

    status.assert_lacks("pod-7");
    let lanes = status.list("lanes");
    assert_eq!(lanes.len(), 2);
    for lane in lanes {
        assert_eq!(lane["inside"], Value::Null, "{status}");
        assert_eq!(lane["lag_messages"], 3, "{status}");
    }
    assert_eq!(status.data()["workers"], json!([]));
    assert_eq!(status.data()["dead_letters"], Value::Null);
}

#[tokio::test]
async fn the_status_of_a_user_is_not_healthy_while_an_event_failed_or_waits() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    insert_lanes(&world).await;
    let book = ann.book("grid", "10", "10").await;
    assert_eq!(ann.get(STATUS).await.data()["healthy"], true);

    let id = store_rejected(&ann, &book, 1, "50").await;
    let failed = ann.get(STATUS).await;
    let own = &failed.data()["own_dead_letters"];
    assert_eq!(failed.data()["healthy"], false);
    let open = json!({"malformed": 0, "unresolved": 0, "rejected": 1});
    assert_eq!(own["open"], open);
    assert_eq!(own["recent"], 1);
    assert_eq!(own["waiting"], 0);
    assert_eq!(own["oldest"]["id"], json!(id));
    assert_eq!(own["oldest"]["code"], "INSUFFICIENT_BALANCE");
    assert_eq!(own["oldest"]["reason"], "a test");
    assert_eq!(bob.get(STATUS).await.data()["healthy"], true);

    // An old one is no news any more.
    let age = "UPDATE dead_letters SET created_at = now() - interval '61 minutes'";
    world.execute(age).await;
    let later = ann.get(STATUS).await;
    assert_eq!(later.data()["healthy"], true);
    assert_eq!(later.data()["own_dead_letters"]["open"], open);

    let waits = "UPDATE dead_letters SET class = 'unresolved', code = 'USER_DISABLED'";
    world.execute(waits).await;
    let waiting = ann.get(STATUS).await;
    assert_eq!(waiting.data()["healthy"], false);
    assert_eq!(waiting.data()["own_dead_letters"]["waiting"], 1);
}

#[tokio::test]
async fn the_status_of_a_user_says_why_their_events_are_slow() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    insert_lanes(&world).await;
    assert_eq!(ann.get(STATUS).await.data()["own_slowed"], Value::Null);

    let insert = "INSERT INTO lane_detours (stream, lane, user_id, stream_created_at, cursor, behind, created_at) \
                  SELECT stream, lane, $1, 7, 5, 7, '2026-01-02T03:04:05Z' FROM ingest_lanes WHERE lane = 0";
    world.run(insert, ann.id.0).await;

    let slowed = json!({"since": "2026-01-02T03:04:05Z", "behind": 14});
    assert_eq!(ann.get(STATUS).await.data()["own_slowed"], slowed);
    assert_eq!(bob.get(STATUS).await.data()["own_slowed"], Value::Null);
}

#[tokio::test]
async fn a_lane_whose_lease_ended_is_free() {
    let world = World::start().await;
    let user = world.user("ann").await;
    insert_lanes(&world).await;

    world
        .execute("UPDATE ingest_lanes SET lease_until = now() - interval '1 s'")
        .await;

    let status = user.get(STATUS).await;
    assert_eq!(status.data()["healthy"], false);
    assert_eq!(status.data()["lanes"][0]["status"], "free");
}

#[tokio::test]
async fn shows_users_the_latest_state_of_their_bots() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let one = new_id();
    let other = new_id();

    for (trading, component, age) in [(one, "trader", 2), (one, "feed", 1), (other, "trader", 3)] {
        sqlx::query(
            "INSERT INTO bots (id, user_id, trading_id, component, status, last_seen_at, metrics) \
             VALUES ($1, $2, $3, $4, 'degraded', now() - make_interval(mins => $5), '{\"load\": 0.5}')",
        )
        .bind(new_id())
        .bind(ann.id.0)
        .bind(trading)
        .bind(component)
        .bind(age)
        .execute(world.pool())
        .await
        .expect("a bot");
    }

    let bots = ann.get("/v1/bots").await;
    let bots = bots.list("bots").clone();

    assert_eq!(
        bots.iter().map(|bot| &bot["component"]).collect::<Vec<_>>(),
        ["feed", "trader", "trader"]
    );
    assert_eq!(bots[0]["status"], "degraded");
    assert_eq!(bots[0]["metrics"], json!({"load": 0.5}));

    let of_other = ann.get(&format!("/v1/bots?trading_id={other}")).await;
    assert_eq!(of_other.list("bots").len(), 1);
    assert_eq!(bob.get("/v1/bots").await.data()["bots"], json!([]));
}
