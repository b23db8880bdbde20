//! What remains of a user after the deletion.

use super::ME;
use crate::bindings::new_binding;
use crate::exchanges::KEY;
use crate::sign_in::{Begun, world as world_with_providers};
use crate::stub::Stub;
use crate::world::{User, World, text};
use reqwest::Method;
use serde_json::json;
use tiris_domain::ids::UserId;
use uuid::Uuid;

const EMAIL: &str = "ann.of.erasure@example.com";
const AGENT: &str = "annbrowser/1.0";
/// The personal values of the journey.
const PERSONAL: [&str; 15] = [
    EMAIL,
    AGENT,
    "ann.of.erasure",
    "ann_the_user",
    "Ann Of Google",
    "Ann Of Profile",
    "ann-at-google.png",
    "ann-picture.png",
    "ann-setting",
    "ann-info",
    "ann-binding",
    "google-subject-of-ann",
    "ann-trading",
    "ann-account",
    "ann-bot",
];

/// Returns the content of all tables, except for the addresses and user agents that the audit trail keeps as evidence.
async fn dump(world: &World) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') \
         AND NOT relispartition",
    )
    .fetch_all(world.pool())
    .await
    .expect("tables");

    let mut all = String::new();
    for table in tables {
        let row = match table.as_str() {
            "audit_logs" => "to_jsonb(t) - ARRAY['ip', 'agent']",
            _ => "to_jsonb(t)",
        };
        let query = sqlx::AssertSqlSafe(format!("SELECT ({row})::text FROM {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(query)
            .fetch_all(world.pool())
            .await
            .expect("rows");
        all.push_str(&rows.join("\n"));
    }
    all
}

/// Signs in with a name, a picture and a user agent.
async fn signed_in<'w>(world: &'w World, stub: &Stub) -> User<'w> {
    let login = Begun::at(world, "google").await;
    let mut claims = stub.claims(&login.auth_url, "google-subject-of-ann", EMAIL);
    claims["name"] = json!("Ann Of Google");
    claims["picture"] = json!("https://pictures.example/ann-at-google.png");
    let code = stub.agree(&login.auth_url, &claims);
    let headers = [("content-type", "application/json"), ("user-agent", AGENT)];
    let body = login.callback(&code).to_string();
    let answer = world
        .ask(Method::POST, "/v1/auth/callback", &headers, Some(body))
        .await;

    let data = answer.data();
    let id: Uuid = text(&data["user"]["id"]).parse().expect("an id");
    User {
        world,
        id: UserId(id),
        session: Uuid::nil(),
        token: text(&data["access_token"]),
    }
}

/// An admin looks for the user, disables and enables them, with an idempotency key.
async fn administer(root: &User<'_>, user: &User<'_>) {
    root.get(&format!("/v1/users?query={EMAIL}")).await.data();
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k"),
    ];
    for change in ["disable", "enable"] {
        let path = format!("/v1/users/{}/{change}", user.id);
        let body = Some("{}".to_owned());
        root.send_with(Method::PUT, &path, &headers, body)
            .await
            .data();
    }
}

#[tokio::test]
async fn no_personal_value_of_a_deleted_user_remains() {
    let (world, stub) = world_with_providers().await;
    let root = world.admin("root").await;
    let ann = signed_in(&world, &stub).await;
    let profile = json!({
        "username": "ann_the_user",
        "full_name": "Ann Of Profile",
        "avatar": "https://pictures.example/ann-picture.png",
        "settings": {"a": "ann-setting"},
        "info": {"a": "ann-info"},
    });
    ann.put(ME, profile).await.data();
    let mut binding = new_binding("ann-binding", "okx", KEY);
    binding["info"] = json!({"a": "ann-info"});
    ann.post("/v1/exchange-bindings", binding).await.data();
    let book = ann.book("grid", "1", "1").await;
    for (path, value) in [
        (format!("/v1/tradings/{}", book.trading), "ann-trading"),
        (format!("/v1/sub-accounts/{}", book.stock), "ann-account"),
    ] {
        ann.put(&path, json!({"info": {"a": value}})).await.data();
    }
    let report = "INSERT INTO bots (id, user_id, trading_id, component, status, last_seen_at, info) \
         VALUES (gen_random_uuid(), $1, gen_random_uuid(), 'ann-bot', 'healthy', now(), '{}')";
    world.run(report, ann.id.0).await;
    administer(&root, &ann).await;
    let ann = signed_in(&world, &stub).await;
    let before = dump(&world).await;

    ann.delete(ME).await.data();

    let after = dump(&world).await;
    for value in PERSONAL {
        assert!(!after.contains(value), "{value} remains");
    }
    // The journey has left what the deletion removes, and the books still name their owner.
    for value in [
        "ann_the_user",
        AGENT,
        "ann-setting",
        "ann-binding",
        "ann-account",
    ] {
        assert!(before.contains(value), "{value} was never stored");
    }
    let owned: i64 = world
        .count(
            "SELECT count(*) FROM transactions WHERE user_id = $1",
            &ann.id.to_string(),
        )
        .await;
    assert_eq!(owned, 2);
    world.verify().await;
}
