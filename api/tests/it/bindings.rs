//! Exchange bindings: visibility, changes and rejections.

mod portal;
mod verification;

use crate::exchanges::{KEY, SECRET};
use crate::world::{Answer, PUBLIC_BINDING, User, World};
use serde_json::{Value, json};

const LIST: &str = "/v1/exchange-bindings";

pub(crate) fn new_binding(name: &str, exchange: &str, key: &str) -> Value {
    json!({"name": name, "exchange_type": exchange, "api_key": key, "api_secret": SECRET})
}

/// Creates a binding and returns its path.
async fn create_binding(user: &User<'_>, name: &str, exchange: &str) -> String {
    let answer = user.post(LIST, new_binding(name, exchange, KEY)).await;
    format!("{LIST}/{}", answer.id())
}

/// Returns the number of audit records of an action.
async fn audited(world: &World, action: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM audit_logs WHERE action = $1 AND user_id IS NOT NULL AND trace_id IS NOT NULL",
    )
    .bind(action)
    .fetch_one(world.pool())
    .await
    .expect("a count")
}

const FULL_KEY: &str = "abcd0123456789012345wxyz";

/// Creates a binding with all optional fields.
async fn full(user: &User<'_>) -> Answer {
    let mut new = new_binding("main", "okx", FULL_KEY);
    new["passphrase"] = json!("Pass phräse");
    new["info"] = json!({"tag": 7});
    user.post(LIST, new).await
}

#[tokio::test]
async fn returns_a_new_binding_without_its_credentials() {
    let world = World::start().await;
    let user = world.user("ann").await;

    let created = full(&user).await;

    created.assert_status(201);
    created.assert_lacks(SECRET);
    let data = created.data();
    assert_eq!(data["masked_api_key"], "abcd****wxyz");
    assert_eq!(data["kind"], "private");
    assert_eq!(data["status"], "unverified");
    assert_eq!(data.get("api_key"), None);
}

#[tokio::test]
async fn audits_each_time_the_owner_reads_credentials() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let path = format!("{LIST}/{}", full(&user).await.id());

    for time in 1..=2 {
        let revealed = user.get(&path).await;

        revealed.assert_not_cached();
        let data = revealed.data();
        assert_eq!(data["api_key"], FULL_KEY);
        assert_eq!(data["api_secret"], SECRET);
        assert_eq!(data["passphrase"], "Pass phräse");
        assert_eq!(data["info"], json!({"tag": 7, "passphrase": "Pass phräse"}));
        assert_eq!(audited(&world, "exchange_binding.reveal").await, time);
    }
}

#[tokio::test]
async fn hides_a_private_binding_from_others_and_admins() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let root = world.admin("root").await;
    let path = format!("{LIST}/{}", full(&ann).await.id());

    for stranger in [&bob, &root] {
        let answer = stranger.get(&path).await;
        answer.assert_error(404, "NOT_FOUND");
    }

    let listed = bob.get(LIST).await;
    assert!(listed.list("exchange_bindings").is_empty(), "{listed}");
}

#[tokio::test]
async fn a_list_reveals_no_credentials() {
    let world = World::start().await;
    let user = world.user("ann").await;
    full(&user).await;

    let filter = format!("{LIST}?info=%7B%22tag%22%3A7%7D");
    let listed = user.get(&filter).await;

    assert_eq!(listed.list("exchange_bindings").len(), 1);
    listed.assert_lacks(SECRET);
    listed.assert_lacks("0123456789");
    assert_eq!(audited(&world, "exchange_binding.reveal").await, 0);
}

#[tokio::test]
async fn names_an_invalid_field_without_its_value() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let s3cr3t = |times: usize| json!("s3cr3t".repeat(times));

    for (field, value, code, named) in [
        ("name", Value::Null, "MISSING_FIELD", "name"),
        ("name", json!("x".repeat(129)), "INVALID_VALUE", "name"),
        (
            "exchange_type",
            json!("mtgox"),
            "INVALID_VALUE",
            "exchange_type",
        ),
        (
            "exchange_type",
            Value::Null,
            "MISSING_FIELD",
            "exchange_type",
        ),
        ("api_key", Value::Null, "MISSING_FIELD", "api_key"),
        ("api_key", json!(""), "INVALID_VALUE", "256"),
        ("api_key", s3cr3t(43), "INVALID_VALUE", "256"),
        (
            "api_key",
            json!("s3cr3t with blanks"),
            "INVALID_VALUE",
            "api_key",
        ),
        ("api_key", json!("s3cr****3t"), "INVALID_VALUE", "api_key"),
        ("api_key", json!(["s3cr3t"]), "INVALID_VALUE", "api_key"),
        ("api_secret", Value::Null, "MISSING_FIELD", "api_secret"),
        (
            "api_secret",
            json!({"s3cr3t": 1}),
            "INVALID_VALUE",
            "api_secret",
        ),
        (
            "api_secret",
            json!("s3cr3t\u{7}"),
            "INVALID_VALUE",
            "api_secret",
        ),
        ("api_secret", s3cr3t(683), "INVALID_VALUE", "4096"),
        ("passphrase", s3cr3t(43), "INVALID_VALUE", "256"),
        ("info", json!([]), "INVALID_INFO_STRUCTURE", "info"),
    ] {
        let mut new = new_binding("main", "kraken", KEY);
        new[field] = value;
        let answer = user.post(LIST, new).await;
        answer.assert_error(400, code);
        answer.assert_contains(named);
        answer.assert_lacks("s3cr3t");
        answer.assert_lacks(SECRET);
    }
}

#[tokio::test]
async fn ignores_an_unknown_field_of_a_binding() {
    let world = World::start().await;
    let user = world.user("ann").await;

    let body = json!({"name": "v", "exchange_type": "virtual", "unknown": 1});
    let created = user.post(LIST, body).await;

    created.data();
}

#[tokio::test]
async fn names_and_keys_are_unique_for_a_user() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    create_binding(&ann, "main", "kraken").await;
    let other = new_binding("other", "kraken", "another-key");
    let other = format!("{LIST}/{}", ann.post(LIST, other).await.id());

    let same_name = ann.post(LIST, new_binding("main", "gate", "k")).await;
    same_name.assert_error(409, "BINDING_NAME_EXISTS");
    let same_key = ann.post(LIST, new_binding("third", "kraken", KEY)).await;
    same_key.assert_error(409, "API_KEY_EXISTS");
    same_key.assert_lacks(KEY);
    for (change, code) in [
        (json!({"name": "main"}), "BINDING_NAME_EXISTS"),
        (json!({"api_key": KEY}), "API_KEY_EXISTS"),
    ] {
        ann.put(&other, change).await.assert_error(409, code);
    }

    // The same key elsewhere, and the same binding of another user.
    create_binding(&ann, "elsewhere", "gate").await;
    create_binding(&bob, "main", "kraken").await;
}

#[tokio::test]
async fn a_deleted_binding_frees_its_name_and_loses_its_credentials() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let path = create_binding(&user, "main", "kraken").await;

    let deleted = user.delete(&path).await;

    assert_eq!(
        deleted.data()["message"],
        "The exchange binding is deleted."
    );
    for answer in [
        user.get(&path).await,
        user.put(&path, json!({})).await,
        user.delete(&path).await,
    ] {
        answer.assert_error(404, "NOT_FOUND");
    }
    create_binding(&user, "main", "kraken").await;
    let left: i64 = world
        .scalar(
            "SELECT count(*) FROM exchange_bindings WHERE status = 'deleted' AND \
             num_nonnulls(api_key_encrypted, api_secret_encrypted, passphrase_encrypted, fingerprint, masked_api_key) > 0",
        )
        .await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_change_leaves_other_fields_alone() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let path = create_binding(&user, "main", "kraken").await;

    let rename = json!({"name": "renamed", "info": {"a": 1}});
    let renamed = user.put(&path, rename).await;
    assert_eq!(renamed.data()["name"], "renamed");
    assert_eq!(renamed.data()["info"], json!({"a": 1}));

    let change = json!({"api_secret": "YW5vdGhlcg==", "passphrase": "p", "exchange_type": "gate"});
    let changed = user.put(&path, change).await;
    assert_eq!(changed.data()["exchange_type"], "gate");
    assert_eq!(changed.data()["info"], json!({"a": 1}));

    let revealed = user.get(&path).await;
    assert_eq!(revealed.data()["api_key"], KEY);
    assert_eq!(revealed.data()["api_secret"], "YW5vdGhlcg==");
    assert_eq!(revealed.data()["passphrase"], "p");
    for (action, times) in [("create", 1), ("update", 2), ("reveal", 1)] {
        let action = format!("exchange_binding.{action}");
        assert_eq!(audited(&world, &action).await, times, "{action}");
    }
}

#[tokio::test]
async fn a_binding_in_use_cannot_be_deleted() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let path = create_binding(&user, "main", "kraken").await;
    let id = path.rsplit('/').next().expect("an id");
    let on_it = |name: &str| json!({"name": name, "type": "real", "exchange_binding_id": id});
    user.post("/v1/tradings", on_it("real")).await.data();

    let in_use = user.delete(&path).await;
    in_use.assert_error(409, "BINDING_IN_USE");

    world
        .execute("UPDATE tradings SET status = 'deleted'")
        .await;
    user.delete(&path).await.data();
    let again = user.post("/v1/tradings", on_it("again")).await;
    again.assert_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn only_admins_change_a_public_binding() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let root = world.admin("root").await;
    let path = format!("{LIST}/{PUBLIC_BINDING}");

    for answer in [
        user.put(&path, json!({"name": "mine"})).await,
        user.delete(&path).await,
    ] {
        answer.assert_error(403, "ACCESS_DENIED");
    }

    let renamed = root.put(&path, json!({"name": "Binance spot"})).await;
    assert_eq!(renamed.data()["name"], "Binance spot");
    let deleted = root.delete(&path).await;
    assert_eq!(
        deleted.data()["message"],
        "The exchange binding is deleted."
    );
}

#[tokio::test]
async fn a_public_binding_never_holds_credentials() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let root = world.admin("root").await;
    let path = format!("{LIST}/{PUBLIC_BINDING}");

    let seen = user.get(&path).await;
    assert_eq!(seen.data()["kind"], "public");
    assert_eq!(seen.data()["api_key"], Value::Null);

    let credentials = root.put(&path, json!({"api_key": "k"})).await;
    credentials.assert_error(400, "INVALID_VALUE");
    let verified = user.post_empty(&format!("{path}/verify")).await;
    verified.assert_error(400, "INVALID_REQUEST");
}

/// Returns the body of a trading with credentials.
fn with_credentials(name: &str, kind: &str) -> Value {
    json!({"name": name, "type": kind, "api_key": KEY, "api_secret": SECRET})
}

#[tokio::test]
async fn a_trading_with_credentials_creates_its_binding() {
    let world = World::start().await;
    let user = world.user("ann").await;

    let body = with_credentials("grid", "gate");
    let created = user.post("/v1/tradings", body).await;

    created.assert_lacks(KEY);
    created.assert_lacks(SECRET);
    let data = created.data();
    assert_eq!(data["type"], "real");
    assert_eq!(data["exchange_binding"]["exchange_type"], "gate");
    assert_eq!(data["exchange_binding"]["name"], "grid");
    let binding = data["exchange_binding_id"].as_str().expect("an id");
    let revealed = user.get(&format!("{LIST}/{binding}")).await;
    assert_eq!(revealed.data()["api_secret"], SECRET);
}

#[tokio::test]
async fn creates_a_trading_with_its_binding_or_not_at_all() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let first = with_credentials("grid", "gate");
    user.post("/v1/tradings", first).await.data();
    let taken = json!({"name": "taken", "type": "virtual"});
    user.post("/v1/tradings", taken).await.data();

    for (name, kind, code) in [
        ("grid", "kraken", "BINDING_NAME_EXISTS"),
        ("other", "gate", "API_KEY_EXISTS"),
        ("taken", "okx", "TRADING_NAME_EXISTS"),
    ] {
        let body = with_credentials(name, kind);
        let answer = user.post("/v1/tradings", body).await;
        answer.assert_error(409, code);
    }

    let bindings = user.get(LIST).await;
    assert_eq!(bindings.list("exchange_bindings").len(), 1);
}

#[tokio::test]
async fn a_trading_needs_either_credentials_or_a_binding() {
    let world = World::start().await;
    let user = world.user("ann").await;

    for kind in ["real", "paper", "kraken"] {
        let mut both = with_credentials("x", kind);
        both["exchange_binding_id"] = json!(PUBLIC_BINDING);
        let answer = user.post("/v1/tradings", both).await;
        answer.assert_error(400, "INVALID_VALUE");
    }

    let incomplete = json!({"name": "x", "type": "okx"});
    let answer = user.post("/v1/tradings", incomplete).await;
    answer.assert_error(400, "MISSING_FIELD");
}

/// Tries every change as a user whose new status a replica has not noticed yet.
async fn try_everything(user: &User<'_>, status: &str) -> (Vec<Answer>, Vec<Answer>) {
    let book = user.book("book", "1", "1").await;
    user.set_status(status).await;

    let account = |balance: &str| json!({"trading_id": book.trading, "name": "third", "symbol": "ETH", "balance": balance});
    let trading = json!({"name": "grid", "type": "paper"});
    let by_session = vec![
        user.post(LIST, new_binding("main", "kraken", KEY)).await,
        user.post("/v1/tradings", trading).await,
        user.post("/v1/sub-accounts", account("0")).await,
        user.post("/v1/sub-accounts", account("1")).await,
    ];
    let by_ledger = vec![
        user.deposit(&book.stock, "1").await,
        user.withdraw(&book.stock, "1").await,
        user.post("/v1/trading-logs", book.trade("long")).await,
        user.post("/v1/trading-logs", book.trade("note")).await,
    ];
    (by_session, by_ledger)
}

/// Asserts that only the book of `try_everything` exists.
async fn assert_only_books(world: &World, tradings: i64) {
    for (query, count) in [
        (
            "SELECT count(*) FROM exchange_bindings WHERE user_id IS NOT NULL",
            0,
        ),
        ("SELECT count(*) FROM tradings", tradings),
        ("SELECT count(*) FROM sub_accounts", 2 * tradings),
        ("SELECT count(*) FROM transactions", 2 * tradings),
    ] {
        assert_eq!(world.scalar::<i64>(query).await, count, "{query}");
    }
}

#[tokio::test]
async fn a_deleted_user_changes_nothing() {
    let world = World::start().await;
    let user = world.user("ann").await;

    let (by_session, by_ledger) = try_everything(&user, "deleted").await;

    for answer in by_session {
        answer.assert_error(401, "INVALID_TOKEN");
    }
    for answer in by_ledger {
        answer.assert_error(404, "NOT_FOUND");
    }
    assert_only_books(&world, 1).await;
}

#[tokio::test]
async fn a_disabled_user_changes_nothing() {
    let world = World::start().await;
    let user = world.user("bob").await;

    let (by_session, by_ledger) = try_everything(&user, "disabled").await;

    for answer in by_session.iter().chain(&by_ledger) {
        answer.assert_error(403, "ACCOUNT_DISABLED");
    }
    assert_only_books(&world, 1).await;
}
