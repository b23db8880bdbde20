//! The audit trail: what it records, what it never holds, and who may read it.

use crate::bindings::new_binding;
use crate::events::fixtures::store_rejected;
use crate::exchanges::{KEY, SECRET};
use crate::openapi::operations;
use crate::sign_in::{Begun, by_google, world as world_with_providers};
use crate::world::{Answer, World, text};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::FromRow;
use uuid::Uuid;

/// Changes without an entry: a pending login belongs to no user yet, and a renewal happens every hour.
const UNRECORDED: [&str; 2] = ["POST /v1/auth/login", "POST /v1/auth/refresh"];
/// It commits each dead letter on its own, with an entry of its own, after the one of the request.
const WITH_MORE_ENTRIES: &str = "POST /v1/events/dead-letters/replay";
/// Readings with an entry, when an admin calls them: those of other users' data, and of credentials in clear.
const RECORDED_READS: [&str; 7] = [
    "GET /v1/audit",
    "GET /v1/events/dead-letters",
    "GET /v1/events/replay",
    "GET /v1/events/replay/{id}",
    "GET /v1/exchange-bindings/{id}",
    "GET /v1/users",
    "GET /v1/users/{id}",
];

/// An entry of the audit trail.
#[derive(Debug, FromRow)]
struct Entry {
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
    ip: Option<String>,
}

/// Asserts that a successful call has exactly one entry with its actor when it must have one, otherwise none.
pub(crate) async fn assert_recorded(world: &World, method: &Method, path: &str, answer: &Answer) {
    let operation = format!("{method} {path}");
    let entries: Vec<Entry> =
        sqlx::query_as("SELECT user_id, session_id, ip FROM audit_logs WHERE trace_id = $1")
            .bind(answer.body["metadata"]["trace_id"].as_str())
            .fetch_all(world.pool())
            .await
            .expect("entries");

    let is_recorded = if method == Method::GET {
        RECORDED_READS.contains(&operation.as_str())
    } else {
        !UNRECORDED.contains(&operation.as_str())
    };
    if operation == WITH_MORE_ENTRIES {
        assert!(entries.len() > 1, "{operation}: {entries:?}");
    } else {
        let expected = usize::from(is_recorded);
        assert_eq!(entries.len(), expected, "{operation}: {entries:?}");
    }
    for entry in entries {
        let is_complete =
            entry.user_id.is_some() && entry.session_id.is_some() && entry.ip.is_some();
        assert!(is_complete, "{operation}: {entry:?}");
    }
}

#[tokio::test]
async fn the_operations_named_here_exist() {
    let known: Vec<String> = operations()
        .into_iter()
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();

    for operation in UNRECORDED.iter().chain(&RECORDED_READS) {
        assert!(known.contains(&(*operation).to_owned()), "{operation}");
    }
}

#[tokio::test]
async fn an_entry_names_the_transactions_and_logs_it_made() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let book = ann.book("grid", "10", "10").await;

    ann.deposit(&book.stock, "1").await.data();
    ann.withdraw(&book.stock, "1").await.data();
    ann.log(book.trade("long")).await;
    ann.log(book.note()).await;
    let letter = store_rejected(&ann, &book, 1, "1").await;
    let replay = format!("/v1/events/dead-letters/{letter}/replay");
    ann.post(&replay, json!({})).await.data();
    store_rejected(&ann, &book, 2, "1").await;
    let all = json!({"filter": {"class": "rejected"}});
    ann.post("/v1/events/dead-letters/replay", all).await.data();

    let named: i64 = world
        .scalar(
            "SELECT count(*) FROM audit_logs a, jsonb_array_elements_text(a.after->'transaction_ids') named \
             JOIN transactions t ON t.id = named::uuid",
        )
        .await;
    let all: i64 = world.scalar("SELECT count(*) FROM transactions").await;
    assert_eq!(named, all, "every transaction is named once");

    let named: i64 = world
        .scalar(
            "SELECT count(*) FROM audit_logs a, jsonb_array_elements_text(a.after->'trading_log_ids') named \
             JOIN trading_logs l ON l.id = named::uuid",
        )
        .await;
    let all: i64 = world.scalar("SELECT count(*) FROM trading_logs").await;
    assert_eq!(named, all, "every trading log is named once");
}

#[tokio::test]
async fn refused_and_failed_changes_have_no_entry() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let book = ann.book("grid", "1", "1").await;
    let count = "SELECT count(*) FROM audit_logs";
    let before: i64 = world.scalar(count).await;

    let too_much = ann.withdraw(&book.stock, "2").await;
    too_much.assert_error(422, "INSUFFICIENT_BALANCE");
    let taken = json!({"name": "grid", "type": "paper"});
    let taken = ann.post("/v1/tradings", taken).await;
    taken.assert_error(409, "TRADING_NAME_EXISTS");
    let full = ann
        .delete(&format!("/v1/sub-accounts/{}", book.stock))
        .await;
    full.assert_error(409, "BALANCE_NOT_ZERO");

    assert_eq!(world.scalar::<i64>(count).await, before);
}

#[tokio::test]
async fn a_refused_sign_in_names_the_user_it_concerns() {
    let (world, stub) = world_with_providers().await;
    let signed_in = by_google(&world, &stub, "g-1", "ann@example.com", true).await;
    let ann = text(&signed_in.data()["user"]["id"]);
    let disable = "UPDATE users SET status = 'disabled' WHERE id = $1";
    world
        .run(disable, ann.parse::<Uuid>().expect("an id"))
        .await;

    let refused = by_google(&world, &stub, "g-1", "ann@example.com", true).await;

    refused.assert_error(403, "ACCOUNT_DISABLED");
    let named: Option<Uuid> = world
        .scalar("SELECT user_id FROM audit_logs WHERE action = 'session.refuse'")
        .await;
    assert_eq!(named.map(|id| id.to_string()), Some(ann));
}

#[tokio::test]
async fn users_read_their_own_entries_and_admins_all() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let root = world.admin("root").await;
    for user in [&ann, &bob] {
        user.book("grid", "1", "1").await;
    }

    let own = ann.get("/v1/audit").await;
    let entries = own.list("audit");
    assert_eq!(entries.len(), 1, "{own}");
    assert_eq!(entries[0]["action"], "trading.create");
    assert_eq!(entries[0]["session_id"], json!(ann.session));
    let stolen = ann.get(&format!("/v1/audit?user_id={}", bob.id)).await;
    assert!(stolen.list("audit").is_empty(), "{stolen}");

    let theirs = root.get(&format!("/v1/audit?user_id={}", bob.id)).await;
    assert_eq!(theirs.list("audit").len(), 1, "{theirs}");
    let reads = root
        .get("/v1/audit?action=admin.read&resource_type=audit")
        .await;
    let read = &reads.list("audit")[0];
    assert_eq!(read["user_id"], json!(root.id));
    assert_eq!(read["after"]["path"], "/v1/audit");
}

#[tokio::test]
async fn only_an_admins_reading_of_others_data_is_recorded() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let book = ann.book("grid", "10", "10").await;
    let letter = store_rejected(&ann, &book, 1, "1").await;
    let letter = format!("/v1/events/dead-letters/{letter}");
    let own = format!("/v1/events/dead-letters?user_id={}", root.id);

    for path in ["/v1/events/dead-letters", &letter, "/v1/audit"] {
        ann.get(path).await.data();
    }
    root.get(&own).await.data();
    root.get(&letter).await.data();
    root.get(&format!("/v1/users/{}", ann.id)).await.data();

    let reads: Vec<(Option<Uuid>, String, Option<String>)> = world
        .rows(
            "SELECT user_id, resource_type, resource_id FROM audit_logs WHERE action = 'admin.read' \
             ORDER BY timestamp, id",
        )
        .await;
    let read = |resource: &str, id: &str| {
        let id = id.rsplit('/').next().map(str::to_owned);
        (Some(root.id.0), resource.to_owned(), id)
    };
    let expected = [
        read("dead_letter", &letter),
        read("user", &ann.id.to_string()),
    ];
    assert_eq!(reads, expected);
}

#[tokio::test]
async fn a_dry_run_of_an_admin_is_a_recorded_reading() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let book = ann.book("grid", "10", "10").await;
    let letter = store_rejected(&ann, &book, 1, "1").await;
    let one = format!("/v1/events/dead-letters/{letter}/replay");
    let filter = json!({"user_id": ann.id});

    for user in [&ann, &root] {
        user.post(&one, json!({"dry_run": true})).await.data();
        let many = json!({"filter": filter, "dry_run": true});
        user.post("/v1/events/dead-letters/replay", many)
            .await
            .data();
    }

    let reads: Vec<(Option<Uuid>, Option<String>, Value)> = world
        .rows(
            "SELECT user_id, resource_id, coalesce(after->'filter', 'null') FROM audit_logs \
             WHERE action = 'admin.read' AND resource_type = 'dead_letter' ORDER BY timestamp, id",
        )
        .await;
    let by_root = Some(root.id.0);
    let expected = [
        (by_root, Some(letter.to_string()), Value::Null),
        (by_root, None, filter),
    ];
    assert_eq!(reads, expected);
}

#[tokio::test]
async fn pages_of_the_audit_trail_follow_each_other() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let book = ann.book("grid", "1", "1").await;
    for _ in 0..3 {
        ann.deposit(&book.stock, "1").await.data();
    }

    let first = ann.get("/v1/audit?limit=3").await;
    let cursor = text(&first.data()["pagination"]["next_cursor"]);
    let second = ann.get(&format!("/v1/audit?limit=3&cursor={cursor}")).await;

    assert_eq!(first.list("audit").len(), 3);
    let oldest = second.list("audit");
    assert_eq!(oldest.len(), 1, "{second}");
    assert_eq!(oldest[0]["action"], "trading.create");
}

#[tokio::test]
async fn an_admins_search_text_is_not_kept() {
    let world = World::start().await;
    let root = world.admin("root").await;

    root.get("/v1/users?query=ann%40example.com&status=active")
        .await
        .data();

    let after: Value = world
        .scalar("SELECT after FROM audit_logs WHERE action = 'admin.read'")
        .await;
    let parameters = json!({"query": "given", "status": "active"});
    assert_eq!(after["parameters"], parameters);
}

#[tokio::test]
async fn the_audit_trail_holds_no_secret() {
    let (world, stub) = world_with_providers().await;
    let login = Begun::at(&world, "google").await;
    let code = login.agreed(&stub, "g-1", "ann@example.com");
    let signed_in = login.end(&world, &code).await;
    let access = text(&signed_in.data()["access_token"]);
    let refresh = text(&signed_in.data()["refresh_token"]);
    let ann = world.user("ann-2").await;
    let mut new = new_binding("main", "okx", KEY);
    new["passphrase"] = json!("the pass phrase");
    let binding = ann.post("/v1/exchange-bindings", new).await.id();
    let path = format!("/v1/exchange-bindings/{binding}");
    ann.get(&path).await.data();
    let change = json!({"api_secret": "another-secret", "passphrase": "another phrase"});
    ann.put(&path, change).await.data();
    ann.delete(&path).await.data();
    ann.post_empty("/v1/auth/logout").await.data();

    let entries: String = world
        .scalar("SELECT string_agg(a::text, '\n') FROM audit_logs a")
        .await;

    assert!(entries.contains("exchange_binding.delete"), "{entries}");
    let secrets = [KEY, SECRET, "the pass phrase", "another-secret"];
    let tokens = [&access, &refresh, &ann.token, &code, &login.state].map(String::as_str);
    for secret in secrets.iter().chain(&tokens) {
        assert!(!entries.contains(secret), "{secret} in {entries}");
    }
}
