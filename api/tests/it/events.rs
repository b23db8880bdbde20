//! Events as the portal and an operator see them: state, dead letters, replays, bots.

use crate::world::{Desk, User, World, text};
use serde_json::{Value, json};
use tiris_domain::event::Kind;
use tiris_domain::ids::new_id;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_domain::states::DeadLetterClass as Class;
use tiris_store::dead_letters::{NewLetter, insert};
use uuid::Uuid;

fn debit(user: &User<'_>, desk: &Desk, event_id: &str, amount: &str) -> Value {
    json!({"event_id": event_id, "event_type": Kind::BalanceUpdated.bare_subject(), "timestamp": "2026-01-02T03:04:05Z",
           "user_id": user.id, "trading_id": desk.trading, "sub_account_id": desk.currency, "symbol": "BTC",
           "amount": amount, "direction": "debit", "reason": "trade", "source": "bot", "version": "1.0"})
}

/// Puts a message aside as ingest does.
async fn put_aside(
    world: &World,
    user: &User<'_>,
    seq: i64,
    payload: Vec<u8>,
    cause: (Class, &'static str),
) -> Uuid {
    let event: Value = serde_json::from_slice(&payload).unwrap_or_default();
    let id_of = |name: &str| event[name].as_str().and_then(|id| id.parse().ok());
    let letter = NewLetter {
        key: LaneKey {
            stream: EventStream::Trading,
            lane: 0,
        },
        stream_created_at: 7,
        stream_seq: u64::try_from(seq).expect("a sequence"),
        subject: format!("trading.balance.updated.0.{}", user.id.0),
        payload,
        headers: json!({}),
        broker_time: None,
        event_id: event["event_id"].as_str().map(str::to_owned),
        user_id: Some(user.id.0),
        trading_id: id_of("trading_id"),
        class: cause.0,
        code: cause.1,
        reason: "so it is".to_owned(),
    };
    let mut connection = world.database.pool().acquire().await.expect("a connection");
    insert(&mut connection, &[letter]).await.expect("a letter");
    sqlx::query_scalar("SELECT id FROM dead_letters WHERE stream_seq = $1")
        .bind(seq)
        .fetch_one(&mut *connection)
        .await
        .expect("the letter")
}

pub(crate) async fn refused(
    world: &World,
    user: &User<'_>,
    desk: &Desk,
    seq: i64,
    amount: &str,
) -> Uuid {
    let event = debit(user, desk, &format!("e-{seq}"), amount)
        .to_string()
        .into_bytes();
    put_aside(
        world,
        user,
        seq,
        event,
        (Class::Rejected, "INSUFFICIENT_BALANCE"),
    )
    .await
}

async fn audited(world: &World, action: &str) -> Vec<(Option<Uuid>, Option<String>)> {
    sqlx::query_as(
        "SELECT user_id, resource_id FROM audit_logs WHERE action = $1 ORDER BY timestamp",
    )
    .bind(action)
    .fetch_all(world.database.pool())
    .await
    .expect("audit rows")
}

#[tokio::test]
async fn users_read_their_own_dead_letters_and_admins_all() {
    let world = World::start().await;
    let (ann, bob, root) = (
        world.user("ann").await,
        world.user("bob").await,
        world.admin("root").await,
    );
    let desk = ann.desk("grid", "10", "10").await;
    let id = refused(&world, &ann, &desk, 1, "50").await;
    let bytes = put_aside(
        &world,
        &ann,
        2,
        vec![0xff, 0xfe],
        (Class::Malformed, "NOT_JSON"),
    )
    .await;
    let letter = ann.get(&format!("/v1/events/dead-letters/{id}")).await;
    let letter = letter.data();
    assert_eq!(
        (&letter["class"], &letter["code"]),
        (&json!("rejected"), &json!("INSUFFICIENT_BALANCE"))
    );
    let payload: Value = serde_json::from_str(&text(&letter["payload"])).expect("JSON");
    assert_eq!(
        (&payload["amount"], &letter["payload_base64"]),
        (&json!("50"), &Value::Null)
    );
    let no_text = root.get(&format!("/v1/events/dead-letters/{bytes}")).await;
    assert_eq!(
        (
            &no_text.data()["payload"],
            &no_text.data()["payload_base64"]
        ),
        (&Value::Null, &json!("//4="))
    );
    for (user, expected) in [(&ann, 2), (&bob, 0), (&root, 2)] {
        let listed = user
            .get(&format!("/v1/events/dead-letters?user_id={}", ann.id.0))
            .await;
        assert_eq!(
            listed.data()["dead_letters"].as_array().map(Vec::len),
            Some(expected)
        );
    }
    assert_eq!(
        bob.get(&format!("/v1/events/dead-letters/{id}"))
            .await
            .refusal(),
        (404, "NOT_FOUND")
    );
    let page = root
        .get("/v1/events/dead-letters?class=malformed&status=open&include_total=true&limit=1")
        .await;
    assert_eq!(page.data()["pagination"]["total"], 1);
    assert_eq!(page.data()["dead_letters"][0]["id"], json!(bytes));
    let long = put_aside(
        &world,
        &ann,
        3,
        vec![b'x'; 10_000],
        (Class::Rejected, "INTERNAL"),
    )
    .await;
    let listed = ann.get("/v1/events/dead-letters?limit=1").await;
    let listed = &listed.data()["dead_letters"][0];
    assert_eq!(
        (&listed["payload_omitted"], &listed["payload"]),
        (&json!(true), &Value::Null)
    );
    let whole = ann.get(&format!("/v1/events/dead-letters/{long}")).await;
    assert_eq!(text(&whole.data()["payload"]).len(), 10_000);
    assert_ne!(whole.data()["reason"], "so it is");
    let wrong = root.get("/v1/events/dead-letters?class=lost").await;
    assert_eq!(wrong.refusal(), (400, "INVALID_VALUE"));
}

#[tokio::test]
async fn a_dry_run_tells_the_effect_on_each_balance_and_a_replay_has_it_once() {
    let world = World::start().await;
    let (ann, root) = (world.user("ann").await, world.admin("root").await);
    let desk = ann.desk("grid", "10", "10").await;
    let id = refused(&world, &ann, &desk, 1, "12").await;
    let path = format!("/v1/events/dead-letters/{id}/replay");
    let too_early = root.post(&path, json!({})).await;
    let too_early = too_early.data();
    assert_eq!(
        (&too_early["applied"], &too_early["code"]),
        (&json!(false), &json!("INSUFFICIENT_BALANCE"))
    );
    ann.post(
        &format!("/v1/sub-accounts/{}/deposit", desk.currency),
        json!({"amount": "5"}),
    )
    .await
    .data();
    let rehearsed = root.post(&path, json!({"dry_run": true})).await;
    let rehearsed = rehearsed.data();
    let account = &rehearsed["accounts"][0];
    assert_eq!(account["sub_account_id"], json!(desk.currency));
    assert_eq!(
        (&account["balance_before"], &account["balance_after"]),
        (&json!("15"), &json!("3"))
    );
    assert_eq!(
        (&rehearsed["applied"], &rehearsed["dry_run"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(ann.balance(&desk.currency).await, "15");
    let done = root.post(&path, json!({})).await;
    let done = done.data();
    assert_eq!(
        (&done["accounts"], &done["dry_run"]),
        (&rehearsed["accounts"], &json!(false))
    );
    let posting = ann
        .get(&format!(
            "/v1/transactions/{}",
            text(&done["postings"][0]["transaction_id"])
        ))
        .await;
    assert_eq!(
        (&posting.data()["amount"], &posting.data()["event_id"]),
        (&json!("12"), &json!("e-1"))
    );
    assert_eq!(ann.balance(&desk.currency).await, "3");
    assert_eq!(
        root.post(&path, json!({})).await.refusal(),
        (409, "LETTER_NOT_OPEN")
    );
    assert_eq!(ann.balance(&desk.currency).await, "3");
    let discard = root
        .post(
            &format!("/v1/events/dead-letters/{id}/discard"),
            json!({"reason": "x"}),
        )
        .await;
    assert_eq!(discard.refusal(), (409, "LETTER_NOT_OPEN"));
    // The refused try as well, but no dry run and nothing that failed.
    let row = (Some(root.id.0), Some(id.to_string()));
    assert_eq!(
        audited(&world, "dead_letter.replay").await,
        [row.clone(), row]
    );
    let closed = ann.get(&format!("/v1/events/dead-letters/{id}")).await;
    assert_eq!(
        (&closed.data()["status"], &closed.data()["info"]),
        (&json!("replayed"), &json!({}))
    );
    let closed = root.get(&format!("/v1/events/dead-letters/{id}")).await;
    assert_eq!(
        closed.data()["info"]["resolution"]["by"],
        json!({"kind": "admin", "id": root.id.0})
    );
    let unknown = root.post(&path, json!({"dryrun": true})).await;
    assert_eq!(unknown.refusal(), (400, "INVALID_REQUEST"));
}

#[tokio::test]
async fn many_letters_are_replayed_in_order_or_given_up_by_a_filter() {
    let world = World::start().await;
    let (ann, root) = (world.user("ann").await, world.admin("root").await);
    let desk = ann.desk("grid", "10", "10").await;
    for (seq, amount) in [(1, "6"), (2, "6"), (3, "4")] {
        refused(&world, &ann, &desk, seq, amount).await;
    }
    put_aside(
        &world,
        &ann,
        9,
        b"no event".to_vec(),
        (Class::Malformed, "NOT_JSON"),
    )
    .await;
    let filter = json!({"class": "rejected", "user_id": ann.id.0});
    let rehearsed = root
        .post(
            "/v1/events/dead-letters/replay",
            json!({"filter": filter, "dry_run": true}),
        )
        .await;
    let rehearsed = rehearsed.data();
    let applied: Vec<&Value> = rehearsed["effects"]
        .as_array()
        .expect("effects")
        .iter()
        .map(|effect| &effect["applied"])
        .collect();
    assert_eq!(applied, [true, false, true]);
    assert_eq!(ann.balance(&desk.currency).await, "10");
    let done = root
        .post("/v1/events/dead-letters/replay", json!({"filter": filter}))
        .await;
    assert_eq!(
        (&done.data()["applied"], &done.data()["left"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(ann.balance(&desk.currency).await, "0");
    let discard = json!({"filter": {"class": "rejected"}, "reason": "a test"});
    let discarded = root.post("/v1/events/dead-letters/discard", discard).await;
    assert_eq!(
        (&discarded.data()["discarded"], &discarded.data()["left"]),
        (&json!(1), &json!(0))
    );
    let open = root.get("/v1/events/dead-letters?status=open").await;
    assert_eq!(
        open.data()["dead_letters"].as_array().map(Vec::len),
        Some(1),
        "the malformed one"
    );
    for wrong in [
        json!({"filter": {}}),
        json!({"filter": {"klass": "rejected"}}),
        json!({}),
        json!({"filter": 1}),
    ] {
        let answer = root
            .post("/v1/events/dead-letters/replay", wrong.clone())
            .await;
        assert_eq!(answer.refusal().0, 400, "{wrong}");
    }
    assert_eq!(audited(&world, "dead_letters.replay").await.len(), 1);
    assert_eq!(audited(&world, "dead_letters.discard").await.len(), 1);
}

#[tokio::test]
async fn a_replay_of_a_range_is_asked_for_and_followed() {
    let world = World::start().await;
    let root = world.admin("root").await;
    let asked = json!({"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-02-01T00:00:00Z",
                       "event_types": ["trading.orders.filled"]});
    let made = root.post("/v1/events/replay", asked.clone()).await;
    assert_eq!(made.status.as_u16(), 201);
    let id = text(&made.data()["id"]);
    assert_eq!(
        (&made.data()["status"], &made.data()["applied"]),
        (&json!("queued"), &json!(0))
    );
    sqlx::query(
        "UPDATE replay_jobs SET status = 'running', applied = 3, \
         progress = '{\"TRADING\": {\"created_at\": 7, \"first\": 5, \"next\": 9, \"last\": 14}}'",
    )
    .execute(world.database.pool())
    .await
    .expect("progress");
    let job = root.get(&format!("/v1/events/replay/{id}")).await;
    let job = job.data();
    assert_eq!(
        (&job["status"], &job["applied"]),
        (&json!("running"), &json!(3))
    );
    assert_eq!(
        (&job["messages_read"], &job["messages"]),
        (&json!(4), &json!(10))
    );
    assert_eq!(
        root.get("/v1/events/replay").await.data()["replays"][0]["id"],
        json!(id)
    );
    for (field, value, named) in [
        ("end_time", json!("2025-01-01T00:00:00Z"), "end_time"),
        (
            "event_types",
            json!(["trading.orders.lost"]),
            "trading.orders.lost",
        ),
        ("event_types", json!([]), "event_types"),
        ("start_time", json!("yesterday"), "start_time"),
        ("user_id", json!("me"), "user_id"),
    ] {
        let mut wrong = asked.clone();
        wrong[field] = value;
        let answer = root.post("/v1/events/replay", wrong).await;
        assert_eq!(answer.refusal(), (400, "INVALID_VALUE"), "{field}");
        assert!(
            text(&answer.body["error"]["details"]).contains(named),
            "{}",
            answer.text
        );
    }
    assert_eq!(
        root.get(&format!("/v1/events/replay/{}", new_id()))
            .await
            .refusal(),
        (404, "NOT_FOUND")
    );
    assert_eq!(
        audited(&world, "events.replay").await,
        [(Some(root.id.0), Some(id))]
    );
}

#[tokio::test]
async fn an_admin_sees_every_lane_and_a_user_the_health_and_the_lag_of_his_own() {
    let world = World::start().await;
    let (ann, root) = (world.user("ann").await, world.admin("root").await);
    assert_eq!(
        root.get("/v1/events/status").await.data()["healthy"],
        false,
        "there are no lanes yet"
    );
    let owner = new_id();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "INSERT INTO ingest_workers (id, owner_token, alive_until, version, host) \
         VALUES ('{owner}', '{owner}', now() + interval '1 hour', '1.2.3', 'pod-7'); \
         INSERT INTO ingest_lanes (stream, lane, stream_created_at, owner, lease_until, status, cursor, lag_messages, \
         lag_exact, lag_seconds) SELECT s, l, 7, '{owner}', now() + interval '1 hour', 'running', 40, 3, true, 1.250 \
         FROM unnest(array['TRADING', 'TRADING_SYSTEM']) s, generate_series(0, 4) l"
    )))
    .execute(world.database.pool())
    .await
    .expect("lanes");
    let desk = ann.desk("grid", "10", "10").await;
    refused(&world, &ann, &desk, 1, "50").await;
    let all = root.get("/v1/events/status").await;
    let all = all.data();
    assert_eq!(
        (
            all["healthy"].clone(),
            all["lanes"].as_array().map(Vec::len)
        ),
        (json!(true), Some(10))
    );
    let lane = &all["lanes"][0];
    assert_eq!(lane["inside"]["host"], "pod-7");
    assert_eq!(
        (&lane["lag_messages"], &lane["lag_seconds"]),
        (&json!(3), &json!(1.25))
    );
    assert_eq!(
        lane["inside"]["dead_letters"],
        json!({"malformed": 0, "unresolved": 0, "rejected": 1})
    );
    assert_eq!(
        (
            &all["workers"][0]["lanes"],
            &all["dead_letters"]["rejected"]
        ),
        (&json!(10), &json!(1))
    );
    let own = ann.get("/v1/events/status").await;
    let own = own.data();
    let lanes = own["lanes"].as_array().expect("lanes");
    assert_eq!(
        (lanes.len(), &own["workers"], &own["dead_letters"]),
        (2, &json!([]), &Value::Null)
    );
    assert!(
        lanes
            .iter()
            .all(|lane| lane["inside"].is_null() && lane["lag_messages"] == 3),
        "{own}"
    );
    assert!(!own.to_string().contains("pod-7"));
    sqlx::query("UPDATE ingest_lanes SET lease_until = now() - interval '1 s'")
        .execute(world.database.pool())
        .await
        .expect("the leases ended");
    let own = ann.get("/v1/events/status").await;
    assert_eq!(
        (&own.data()["healthy"], &own.data()["lanes"][0]["status"]),
        (&json!(false), &json!("free"))
    );
}

#[tokio::test]
async fn a_user_sees_the_latest_state_of_each_of_his_bots() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    let (one, other) = (new_id(), new_id());
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
        .execute(world.database.pool())
        .await
        .expect("a bot");
    }
    let bots = ann.get("/v1/bots").await;
    let bots = bots.data()["bots"].as_array().expect("bots").clone();
    assert_eq!(
        bots.iter().map(|bot| &bot["component"]).collect::<Vec<_>>(),
        ["feed", "trader", "trader"]
    );
    assert_eq!(
        (&bots[0]["status"], &bots[0]["metrics"]),
        (&json!("degraded"), &json!({"load": 0.5}))
    );
    let of_other = ann.get(&format!("/v1/bots?trading_id={other}")).await;
    assert_eq!(of_other.data()["bots"].as_array().map(Vec::len), Some(1));
    assert_eq!(bob.get("/v1/bots").await.data()["bots"], json!([]));
}
