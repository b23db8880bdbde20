//! A request that is sent again under the same key is done once.

use crate::bindings::new_binding;
use crate::events::refused;
use crate::exchanges::{Exchanges, KEY, SECRET};
use crate::openapi::operations;
use crate::world::{Answer, Desk, User, World, text};
use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection;
use std::net::SocketAddr;
use std::time::Duration;
use tiris_domain::ids::new_id;
use tiris_testing::eventually;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A way to the API, with a key.
struct Keyed<'u> {
    user: &'u User<'u>,
    address: SocketAddr,
    key: &'static str,
}

impl<'u> Keyed<'u> {
    fn new(user: &'u User<'u>, key: &'static str) -> Self {
        Self {
            user,
            address: user.world.address,
            key,
        }
    }

    async fn send(&self, method: &Method, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.user.token);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", self.key),
        ];
        let body = Some(body.to_owned());
        self.user
            .world
            .ask_at(self.address, method.clone(), path, &headers, body)
            .await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(&Method::POST, path, body).await
    }
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == "true"
}

/// That the second answer is the first one, told to be so.
fn assert_replayed(first: &Answer, second: &Answer) {
    assert!(!is_replayed(first), "{}", first.text);
    assert_eq!((second.status, second.data()), (first.status, first.data()));
    assert!(is_replayed(second), "{}", second.text);
}

/// Keys that are kept, and those of them without an answer.
async fn kept(world: &World) -> (i64, i64) {
    sqlx::query_as("SELECT count(*), count(*) FILTER (WHERE body IS NULL) FROM idempotency_keys")
        .fetch_one(world.database.pool())
        .await
        .expect("counts")
}

/// Waits until so many sessions wait for locks, and answers which statements and processes they are.
async fn waiting(world: &World, count: usize) -> Vec<(i32, String)> {
    eventually("sessions that wait", PATIENCE, async || {
        let found: Vec<(i32, String)> = sqlx::query_as(
            "SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_all(world.database.pool())
        .await?;
        ensure!(found.len() == count, "{found:?}");
        Ok(found)
    })
    .await
    .expect("they wait")
}

/// A session of the test's own, with a transaction that keeps a sub-account.
async fn keeping(world: &World, account: &str) -> sqlx::PgConnection {
    let mut holder = sqlx::PgConnection::connect(world.database.url())
        .await
        .expect("connected");
    sqlx::query("BEGIN")
        .execute(&mut holder)
        .await
        .expect("begun");
    sqlx::query("SELECT FROM sub_accounts WHERE id = $1::uuid FOR UPDATE")
        .bind(account)
        .execute(&mut holder)
        .await
        .expect("locked");
    holder
}

#[tokio::test]
async fn the_same_request_has_one_effect_and_one_answer_and_another_body_is_refused() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "10").await;
    let path = format!("/v1/sub-accounts/{}/deposit", desk.stock);
    let once = Keyed::new(&user, "~ a key of ours !");
    let first = once.post(&path, "{\"amount\":\"1\"}").await;
    user.post(&path, json!({"amount": "5"})).await.data();
    assert_replayed(&first, &once.post(&path, "{\"amount\":\"1\"}").await);
    assert_eq!(
        first.data()["sub_account"]["balance"],
        "1",
        "the answer is of then"
    );
    assert_eq!(user.balance(&desk.stock).await, "6");
    for other in ["{\"amount\":\"2\"}", "{\"amount\": \"1\"}"] {
        assert_eq!(
            once.post(&path, other).await.refusal(),
            (409, "IDEMPOTENCY_KEY_REUSED")
        );
    }
    let trade = desk.trade("long").to_string();
    let first = once.post("/v1/trading-logs", &trade).await;
    assert_eq!(first.status, 201);
    assert_replayed(&first, &once.post("/v1/trading-logs", &trade).await);
    assert_eq!(user.balance(&desk.stock).await, "8");
    assert_eq!(kept(&world).await, (2, 0));
}

#[tokio::test]
async fn what_was_refused_may_be_tried_again_under_its_key() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "0").await;
    let path = format!("/v1/sub-accounts/{}/withdraw", desk.stock);
    let once = Keyed::new(&user, "k");
    assert_eq!(
        once.post(&path, "{\"amount\":\"x\"}").await.refusal(),
        (400, "INVALID_VALUE")
    );
    assert_eq!(
        once.post(&path, "{\"amount\":\"3\"}").await.refusal(),
        (422, "INSUFFICIENT_BALANCE")
    );
    assert_eq!(kept(&world).await, (0, 0));
    user.post(
        &format!("/v1/sub-accounts/{}/deposit", desk.stock),
        json!({"amount": "5"}),
    )
    .await
    .data();
    let done = once.post(&path, "{\"amount\":\"3\"}").await;
    assert_replayed(&done, &once.post(&path, "{\"amount\":\"3\"}").await);
    assert_eq!(user.balance(&desk.stock).await, "3");
}

#[tokio::test]
async fn of_two_at_once_on_two_replicas_one_works_and_the_other_is_given_its_answer() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", desk.stock);
    let here = Keyed::new(&user, "k");
    let there = Keyed {
        address: world.replica().await,
        ..Keyed::new(&user, "k")
    };
    let holder = keeping(&world, &desk.stock).await;
    let release = async {
        let statements = waiting(&world, 2).await;
        let on_key = |(_, query): &&(i32, String)| query.contains("idempotency_keys");
        assert_eq!(
            statements.iter().filter(on_key).count(),
            1,
            "one has the key: {statements:?}"
        );
        holder.close().await.expect("released");
    };
    let body = "{\"amount\":\"1\"}";
    let (one, other, ()) = tokio::join!(here.post(&path, body), there.post(&path, body), release);
    let (first, second) = if is_replayed(&one) {
        (other, one)
    } else {
        (one, other)
    };
    assert_replayed(&first, &second);
    assert_eq!(user.balance(&desk.stock).await, "1");
}

#[tokio::test]
async fn when_the_one_at_work_dies_the_one_that_waits_works() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", desk.stock);
    let once = Keyed::new(&user, "k");
    let holder = keeping(&world, &desk.stock).await;
    let kill = async {
        let statements = waiting(&world, 2).await;
        let (at_work, _) = statements
            .iter()
            .find(|(_, query)| !query.contains("idempotency_keys"))
            .expect("one works");
        sqlx::query("SELECT pg_terminate_backend($1)")
            .bind(at_work)
            .execute(world.database.pool())
            .await
            .expect("killed");
        let left = waiting(&world, 1).await;
        assert!(
            left.iter().all(|(_, query)| query.contains("sub_accounts")),
            "it has the key now: {left:?}"
        );
        holder.close().await.expect("released");
    };
    let body = "{\"amount\":\"1\"}";
    let (one, other, ()) = tokio::join!(once.post(&path, body), once.post(&path, body), kill);
    let (dead, done) = if one.status.is_success() {
        (other, one)
    } else {
        (one, other)
    };
    assert_eq!(dead.refusal(), (503, "DATABASE_UNAVAILABLE"));
    assert_replayed(&done, &once.post(&path, body).await);
    assert_eq!(user.balance(&desk.stock).await, "1");
}

#[tokio::test]
async fn a_request_waits_for_its_key_no_longer_than_the_database_lets_it() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let mut holder = sqlx::PgConnection::connect(world.database.url())
        .await
        .expect("connected");
    let mut transaction = holder.begin().await.expect("begun");
    sqlx::query(
        "INSERT INTO idempotency_keys (user_id, method, path, key, body_hmac, status, expires_at) \
         VALUES ($1, 'POST', '/v1/tradings', 'k', '', 201, now() + interval '1 day')",
    )
    .bind(user.id.0)
    .execute(&mut *transaction)
    .await
    .expect("held");
    let once = Keyed::new(&user, "k");
    let body = json!({"name": "grid", "type": "paper"}).to_string();
    assert_eq!(
        once.post("/v1/tradings", &body).await.refusal(),
        (503, "DATABASE_UNAVAILABLE")
    );
    transaction.rollback().await.expect("released");
    assert!(!is_replayed(&once.post("/v1/tradings", &body).await));
    assert_eq!(
        user.get("/v1/tradings").await.data()["tradings"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn what_was_booked_too_late_is_tried_again_and_done_once_with_a_key_or_without() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", desk.stock);
    sqlx::raw_sql(
        "CREATE SEQUENCE tries; CREATE OR REPLACE FUNCTION assert_fresh(batch_timestamp timestamptz) RETURNS void \
         LANGUAGE plpgsql AS $$ BEGIN IF batch_timestamp IS NOT NULL AND nextval('tries') % 3 <> 0 THEN \
         RAISE EXCEPTION 'late' USING ERRCODE = 'serialization_failure'; END IF; END $$",
    )
    .execute(world.database.pool())
    .await
    .expect("every third try is in time");
    let once = Keyed::new(&user, "k");
    let body = "{\"amount\":\"1\"}";
    let first = once.post(&path, body).await;
    assert_replayed(&first, &once.post(&path, body).await);
    user.post_text(&path, body).await.data();
    assert_eq!(user.balance(&desk.stock).await, "2");
    let tries: i64 = sqlx::query_scalar("SELECT last_value FROM tries")
        .fetch_one(world.database.pool())
        .await
        .expect("a count");
    assert_eq!(tries, 6, "the time of both is checked");
}

#[tokio::test]
async fn the_key_of_another_user_path_or_method_is_another_key() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    let desk = ann.desk("grid", "5", "5").await;
    let once = Keyed::new(&ann, "k");
    let paths =
        [&desk.stock, &desk.currency].map(|account| format!("/v1/sub-accounts/{account}/withdraw"));
    for path in &paths {
        assert!(!is_replayed(&once.post(path, "{\"amount\":\"1\"}").await));
    }
    let trading = json!({"name": "new", "type": "paper"}).to_string();
    for user in [&ann, &bob] {
        let made = Keyed::new(user, "k").post("/v1/tradings", &trading).await;
        assert_eq!(
            (made.data()["user_id"].clone(), is_replayed(&made)),
            (json!(user.id), false)
        );
    }
    assert_eq!(ann.balance(&desk.stock).await, "4");
    assert_eq!(ann.balance(&desk.currency).await, "4");
    // Nothing can be posted where something is put today, so the method is changed in the row.
    world
        .run(
            "UPDATE idempotency_keys SET method = 'PUT' WHERE user_id = $1",
            ann.id.0,
        )
        .await;
    assert!(!is_replayed(
        &once.post(&paths[0], "{\"amount\":\"1\"}").await
    ));
}

#[tokio::test]
async fn a_key_is_known_for_a_day_and_then_as_if_it_had_never_been_seen() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", desk.stock);
    let once = Keyed::new(&user, "k");
    once.post(&path, "{\"amount\":\"1\"}").await.data();
    let hours: f64 = sqlx::query_scalar(
        "SELECT (extract(epoch FROM expires_at - created_at) / 3600)::float8 FROM idempotency_keys",
    )
    .fetch_one(world.database.pool())
    .await
    .expect("a key");
    assert_eq!(hours, 24.0);
    world
        .run(
            "UPDATE idempotency_keys SET expires_at = now() WHERE user_id = $1",
            user.id.0,
        )
        .await;
    let anew = once.post(&path, "{\"amount\":\"2\"}").await;
    assert_replayed(&anew, &once.post(&path, "{\"amount\":\"2\"}").await);
    assert_eq!(user.balance(&desk.stock).await, "3");
    assert_eq!(kept(&world).await, (1, 0));
}

#[tokio::test]
async fn neither_credentials_nor_a_hash_they_could_be_guessed_by_are_kept() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let once = Keyed::new(&user, "k");
    let body = new_binding("main", "kraken", KEY).to_string();
    let made = once.post("/v1/exchange-bindings", &body).await;
    assert_replayed(&made, &once.post("/v1/exchange-bindings", &body).await);
    let (row, plain): (String, bool) = sqlx::query_as(
        "SELECT k::text, body_hmac = sha256(convert_to($1, 'UTF8')) FROM idempotency_keys k",
    )
    .bind(&body)
    .fetch_one(world.database.pool())
    .await
    .expect("a key");
    assert!(!row.contains(KEY) && !row.contains(SECRET), "{row}");
    assert!(!plain, "whoever reads the table can try what the body was");
    user.delete("/v1/users/me").await.data();
    assert_eq!(
        kept(&world).await,
        (0, 0),
        "nothing is kept of who has left"
    );
}

#[tokio::test]
async fn what_the_exchange_said_is_part_of_the_answer_and_it_is_asked_once() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(true)).await;
    let user = world.user("ann").await;
    let once = Keyed::new(&user, "k");
    let body = new_binding("main", "gate", KEY).to_string();
    let made = once.post("/v1/exchange-bindings", &body).await;
    assert_eq!(made.data()["status"], "valid");
    assert_replayed(&made, &once.post("/v1/exchange-bindings", &body).await);
    let path = format!("/v1/exchange-bindings/{}", text(&made.data()["id"]));
    let change = json!({"api_key": "unknown"}).to_string();
    let changed = once.send(&Method::PUT, &path, &change).await;
    assert_eq!(changed.data()["status"], "refused");
    assert_replayed(&changed, &once.send(&Method::PUT, &path, &change).await);
    let trading =
        json!({"name": "t", "type": "kraken", "api_key": KEY, "api_secret": SECRET}).to_string();
    let made = once.post("/v1/tradings", &trading).await;
    assert_eq!(made.data()["exchange_binding"]["status"], "valid");
    assert_replayed(&made, &once.post("/v1/tradings", &trading).await);
    assert_eq!(exchanges.asked().len(), 3, "no replay asks");
    let verify = format!("{path}/verify");
    exchanges.set(|mood| mood.failures = vec![500; 3]);
    assert_eq!(
        once.post(&verify, "").await.refusal(),
        (502, "EXCHANGE_ERROR")
    );
    let verified = once.post(&verify, "").await;
    assert_eq!(verified.data()["status"], "refused");
    user.put(&path, json!({"api_key": KEY})).await.data();
    exchanges.asked();
    assert_replayed(&verified, &once.post(&verify, "").await);
    assert_eq!(exchanges.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_malformed_key_is_refused_by_name_wherever_a_key_is_taken() {
    let world = World::start().await;
    let admin = world.admin("root").await;
    let bearer = format!("Bearer {}", admin.token);
    let long = "k".repeat(129);
    for (method, path, _) in repeatable() {
        let path = path.replace("{id}", &new_id().to_string());
        for keys in [
            vec![""],
            vec![&long],
            vec!["schlüssel"],
            vec!["a\tb"],
            vec!["a", "a"],
        ] {
            let mut headers = vec![
                ("authorization", bearer.as_str()),
                ("content-type", "application/json"),
            ];
            headers.extend(keys.iter().map(|key| ("idempotency-key", *key)));
            let answer = world
                .ask(method.clone(), &path, &headers, Some("{}".to_owned()))
                .await;
            assert_eq!(
                answer.refusal(),
                (400, "INVALID_VALUE"),
                "{method} {path} {keys:?}"
            );
            let details = text(&answer.body["error"]["details"]);
            assert!(
                details.contains("Idempotency-Key") && details.contains("128"),
                "{details}"
            );
        }
    }
    let longest: &'static str = "~".repeat(128).leak();
    let once = Keyed::new(&admin, longest);
    once.post(
        "/v1/tradings",
        &json!({"name": "grid", "type": "paper"}).to_string(),
    )
    .await
    .data();
}

/// Operations that take a key: all that post or put, except those of signing in.
fn repeatable() -> Vec<(Method, String, Value)> {
    let all = operations().into_iter();
    all.filter(|(method, path, _)| {
        (method == "POST" || method == "PUT") && !path.starts_with("/v1/auth/")
    })
    .map(|(method, path, operation)| (method.parse().expect("a method"), path, operation))
    .collect()
}

/// What operations are asked for in a test.
pub(crate) struct Cases<'u> {
    ann: &'u User<'u>,
    root: &'u User<'u>,
    desk: Desk,
    binding: String,
}

impl<'u> Cases<'u> {
    pub(crate) async fn new(ann: &'u User<'u>, root: &'u User<'u>) -> Self {
        let desk = ann.desk("grid", "10", "10").await;
        let binding = ann
            .post("/v1/exchange-bindings", new_binding("mine", "gate", KEY))
            .await;
        Self {
            ann,
            root,
            desk,
            binding: text(&binding.data()["id"]),
        }
    }

    /// A letter that can be replayed, at `seq` of its stream.
    async fn letter(&self, seq: i64) -> String {
        refused(self.ann.world, self.ann, &self.desk, seq, "1")
            .await
            .to_string()
    }

    /// Who asks an operation, the id in its path, and its body.
    pub(crate) async fn of(
        &self,
        seq: i64,
        method: &Method,
        path: &str,
    ) -> (&'u User<'u>, String, Value) {
        let (ann, root, desk) = (self.ann, self.root, &self.desk);
        let letter = self.letter(seq).await;
        let filter = json!({"class": "rejected"});
        let none = String::new();
        match format!("{method} {path}").as_str() {
            "PUT /v1/users/me" => (ann, none, json!({"full_name": "Ann"})),
            "PUT /v1/users/{id}/disable" => (
                root,
                ann.world.user(&format!("u{seq}")).await.id.to_string(),
                json!({}),
            ),
            "PUT /v1/users/{id}/enable" => {
                let user = ann.world.user(&format!("u{seq}")).await;
                ann.world
                    .run(
                        "UPDATE users SET status = 'disabled' WHERE id = $1",
                        user.id.0,
                    )
                    .await;
                (root, user.id.to_string(), json!({}))
            }
            "POST /v1/exchange-bindings" => (ann, none, new_binding("new", "okx", KEY)),
            "PUT /v1/exchange-bindings/{id}" => {
                (ann, self.binding.clone(), json!({"name": "renamed"}))
            }
            "POST /v1/exchange-bindings/{id}/verify" => (ann, self.binding.clone(), Value::Null),
            "POST /v1/tradings" => (ann, none, json!({"name": "new", "type": "paper"})),
            "PUT /v1/tradings/{id}" => (ann, desk.trading.clone(), json!({"status": "paused"})),
            "PUT /v1/sub-accounts/{id}" => {
                (ann, desk.stock.clone(), json!({"info": {"seen": seq}}))
            }
            "POST /v1/sub-accounts" => {
                let new =
                    json!({"trading_id": desk.trading, "name": "x", "symbol": "X", "balance": "1"});
                (ann, none, new)
            }
            "POST /v1/sub-accounts/{id}/deposit" | "POST /v1/sub-accounts/{id}/withdraw" => {
                (ann, desk.stock.clone(), json!({"amount": "1"}))
            }
            "POST /v1/trading-logs" => (ann, none, desk.trade("long")),
            "POST /v1/events/dead-letters/{id}/replay" => (root, letter, json!({})),
            "POST /v1/events/dead-letters/{id}/discard" => {
                (root, letter, json!({"reason": "a test"}))
            }
            "POST /v1/events/dead-letters/replay" => (root, none, json!({"filter": filter})),
            "POST /v1/events/dead-letters/discard" => {
                (root, none, json!({"filter": filter, "reason": "a test"}))
            }
            "POST /v1/events/replay" => {
                let range = json!({"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-02-01T00:00:00Z"});
                (root, none, range)
            }
            other => panic!("{other} has no case here"),
        }
    }
}

/// Rows of everything an operation leaves behind; of what is changed in place, which transactions did it.
async fn traces(world: &World) -> i64 {
    sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM audit_logs) + (SELECT count(*) FROM transactions) + (SELECT count(*) FROM trading_logs) \
         + (SELECT count(*) FROM tradings) + (SELECT count(*) FROM sub_accounts) + (SELECT count(*) FROM replay_jobs) \
         + (SELECT count(*) FROM dead_letters WHERE status <> 'open') \
         + (SELECT sum(xmin::text::bigint) FROM tradings)::bigint + (SELECT sum(xmin::text::bigint) FROM sub_accounts)::bigint",
    )
    .fetch_one(world.database.pool())
    .await
    .expect("a count")
}

#[tokio::test]
async fn every_operation_that_takes_a_key_is_done_once() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(false)).await;
    let (ann, root) = (world.user("ann").await, world.admin("root").await);
    let cases = Cases::new(&ann, &root).await;
    let operations = repeatable();
    assert!(operations.len() >= 16, "{}", operations.len());
    for (seq, (method, path, _)) in (1..).zip(operations) {
        let (user, id, body) = cases.of(seq, &method, &path).await;
        let (path, body) = (path.replace("{id}", &id), body.to_string());
        let before = traces(&world).await;
        let first = Keyed::new(user, "k").send(&method, &path, &body).await;
        let after = traces(&world).await;
        assert!(after > before, "{method} {path} leaves a trace");
        assert_replayed(
            &first,
            &Keyed::new(user, "k").send(&method, &path, &body).await,
        );
        assert_eq!(traces(&world).await, after, "{method} {path} has it once");
        let other = Keyed::new(user, "k")
            .send(&method, &path, &format!("{body} "))
            .await;
        assert_eq!(
            other.refusal(),
            (409, "IDEMPOTENCY_KEY_REUSED"),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_dry_run_keeps_no_answer() {
    let world = World::start().await;
    let (ann, root) = (world.user("ann").await, world.admin("root").await);
    let desk = ann.desk("grid", "10", "10").await;
    let letter = refused(&world, &ann, &desk, 1, "4").await;
    let (one, many) = (
        format!("/v1/events/dead-letters/{letter}/replay"),
        "/v1/events/dead-letters/replay",
    );
    let filter = json!({"class": "rejected"});
    let once = Keyed::new(&root, "k");
    for dry in [true, true, false] {
        for (path, mut body) in [(many, json!({"filter": filter})), (one.as_str(), json!({}))] {
            body["dry_run"] = json!(dry);
            let answer = once.post(path, &body.to_string()).await;
            if dry || path == many {
                assert!(
                    !is_replayed(&answer) && answer.data()["dry_run"] == dry,
                    "{}",
                    answer.text
                );
            }
        }
    }
    assert_eq!(ann.balance(&desk.currency).await, "6");
}
