//! Users: their profile, their deletion, and administration.

mod erasure;
mod outdated;

use crate::world::{Answer, User, World, text};
use serde_json::{Value, json};
use tiris_domain::ids::new_id;

const ME: &str = "/v1/users/me";

#[tokio::test]
async fn a_profile_change_keeps_omitted_fields() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let settings = json!({"theme": "dark", "numbers": [1.10]});

    let first = json!({"full_name": "Ann", "settings": settings});
    let changed = user.put(ME, first).await;
    assert_eq!(changed.data()["full_name"], "Ann");
    assert_eq!(changed.data()["settings"], settings);
    assert_eq!(changed.data()["username"], "ann");

    let second =
        json!({"username": "ann.b", "avatar": "https://a.example/b.png", "email": "x@y.example"});
    let changed = user.put(ME, second).await;
    assert_eq!(changed.data()["username"], "ann.b");
    assert_eq!(changed.data()["full_name"], "Ann");
    assert_eq!(changed.data()["avatar"], "https://a.example/b.png");
    assert_eq!(changed.data()["settings"], settings);
    // The e-mail address cannot be changed here.
    assert_eq!(changed.data()["email"], "ann@example.com");

    let emptied = user.put(ME, json!({"avatar": "", "settings": {}})).await;
    assert_eq!(emptied.data()["avatar"], Value::Null);
    assert_eq!(emptied.data()["settings"], json!({}));
    assert_eq!(user.get(ME).await.data(), emptied.data());
    let audited = world.audited(&user.id.to_string()).await;
    assert_eq!(audited, ["user.change"; 3]);
}

#[tokio::test]
async fn names_invalid_fields_of_a_profile() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let large = json!({"a": "x".repeat(17_000)});

    for (field, value, code) in [
        ("username", json!(""), "INVALID_VALUE"),
        ("username", json!(" ann"), "INVALID_VALUE"),
        ("username", json!("a\nb"), "INVALID_VALUE"),
        ("username", json!("a".repeat(129)), "INVALID_VALUE"),
        ("username", json!(1), "INVALID_VALUE"),
        ("full_name", json!("a".repeat(257)), "INVALID_VALUE"),
        ("avatar", json!("javascript:alert(1)"), "INVALID_VALUE"),
        ("settings", json!([]), "INVALID_INFO_STRUCTURE"),
        ("settings", large, "INVALID_INFO_STRUCTURE"),
    ] {
        let answer = user.put(ME, json!({field: value})).await;
        answer.assert_error(400, code);
        answer.assert_details(field);
    }
}

#[tokio::test]
async fn only_one_of_many_users_gets_a_username() {
    let world = World::start().await;
    let mut users = Vec::new();
    for index in 0..6 {
        users.push(world.user(&format!("u{index}")).await);
    }
    let rename = async |user: &User<'_>| user.put(ME, json!({"username": "wanted"})).await;

    let answers = futures_util::future::join_all(users.iter().map(rename)).await;

    let (renamed, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status.is_success());
    assert_eq!(renamed.len(), 1);
    for answer in refused {
        answer.assert_error(409, "USERNAME_EXISTS");
    }
}

#[tokio::test]
async fn deleting_a_user_ends_all_their_sessions() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let second = world.session(user.id).await;
    let elsewhere = world.token(user.id, second, chrono::Duration::hours(1));

    let left = user.delete(ME).await;

    assert!(left.data()["message"].is_string(), "{left}");
    for token in [&user.token, &elsewhere] {
        let answer = world.get_as(token, ME).await;
        answer.assert_error(401, "INVALID_TOKEN");
    }
    assert_eq!(world.audited(&user.id.to_string()).await, ["user.delete"]);
}

#[tokio::test]
async fn deleting_a_user_deletes_their_credentials() {
    let world = World::start().await;
    let user = world.user("ann").await;
    for statement in [
        "INSERT INTO oauth_identities (id, user_id, provider, subject) VALUES (gen_random_uuid(), $1, 'google', 's')",
        "INSERT INTO exchange_bindings (id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, \
         passphrase_encrypted, masked_api_key, key_id, fingerprint) \
         VALUES (gen_random_uuid(), $1, 'mine', 'kraken', 'private', 'a', 'b', 'c', 'd', 'e', 'f')",
    ] {
        world.run(statement, user.id.0).await;
    }

    user.delete(ME).await.data();

    let id = user.id.to_string();
    for left in [
        "SELECT count(*) FROM oauth_identities WHERE user_id = $1",
        "SELECT count(*) FROM sessions WHERE user_id = $1 AND revoked_at IS NULL",
        "SELECT count(*) FROM exchange_bindings WHERE user_id = $1 AND (status <> 'deleted' OR \
         num_nonnulls(api_key_encrypted, api_secret_encrypted, passphrase_encrypted, masked_api_key, key_id, fingerprint) > 0)",
    ] {
        assert_eq!(world.count(left, &id).await, 0, "{left}");
    }
}

#[tokio::test]
async fn a_deleted_user_who_returns_is_a_new_user() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "1").await;
    user.delete(ME).await.data();

    // Name and address are available again.
    let again = world.user("ann").await;

    assert_ne!(again.id, user.id);
    let trading = format!("/v1/tradings/{}", book.trading);
    again.get(&trading).await.assert_error(404, "NOT_FOUND");
}

fn names(answer: &Answer) -> Vec<String> {
    let users = answer.list("users").iter();
    users.map(|user| text(&user["username"])).collect()
}

/// Creates users with names that are hard to search for.
async fn users(world: &World) -> User<'_> {
    let admin = world.admin("root").await;
    for name in ["ann", "bob", "100%", "under_score"] {
        world.user(name).await;
    }
    admin
}

#[tokio::test]
async fn admins_list_users_by_page() {
    let world = World::start().await;
    let admin = users(&world).await;

    let mut seen = Vec::new();
    let mut path = "/v1/users?limit=2".to_owned();
    loop {
        let page = admin.get(&path).await;
        seen.extend(names(&page));
        match page.data()["pagination"]["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/users?limit=2&cursor={cursor}"),
            None => break,
        }
    }

    // Newest first, each once.
    assert_eq!(seen, ["under_score", "100%", "bob", "ann", "root"]);
}

#[tokio::test]
async fn admins_search_users_by_name_address_and_id() {
    let world = World::start().await;
    let admin = users(&world).await;
    let own = format!("query={}", admin.id);

    for (query, found) in [
        ("query=ANN", &["ann"][..]),
        ("query=bob@example", &["bob"]),
        // No wildcards.
        ("query=%25", &["100%"]),
        ("query=r_s", &["under_score"]),
        (&own, &["root"]),
        ("query=nobody", &[]),
        ("status=disabled", &[]),
    ] {
        let answer = admin.get(&format!("/v1/users?{query}")).await;
        assert_eq!(names(&answer), found, "{query}");
    }
    for wrong in [
        "limit=0",
        "limit=1001",
        "cursor=x",
        "status=gone",
        "query=%00",
    ] {
        let answer = admin.get(&format!("/v1/users?{wrong}")).await;
        answer.assert_error(400, "INVALID_VALUE");
    }
}

#[tokio::test]
async fn a_disabled_user_must_sign_in_again_when_enabled() {
    let world = World::start().await;
    let admin = world.admin("root").await;
    let user = world.user("ann").await;
    let path = format!("/v1/users/{}", user.id);
    let disable = format!("{path}/disable");
    // Caches the session.
    user.get(ME).await.data();

    for _ in 0..2 {
        let disabled = admin.put(&disable, json!({"reason": "floods"})).await;
        assert_eq!(disabled.data()["status"], "disabled");
    }
    user.get(ME).await.assert_error(403, "ACCOUNT_DISABLED");
    assert_eq!(admin.get(&path).await.data()["status"], "disabled");

    let enabled = admin.put(&format!("{path}/enable"), json!({})).await;
    assert_eq!(enabled.data()["status"], "active");
    user.get(ME).await.assert_error(401, "INVALID_TOKEN");
}

#[tokio::test]
async fn disabling_and_enabling_are_audited() {
    let world = World::start().await;
    let admin = world.admin("root").await;
    let user = world.user("ann").await;
    let path = format!("/v1/users/{}", user.id);

    for _ in 0..2 {
        let reason = json!({"reason": "floods"});
        admin.put(&format!("{path}/disable"), reason).await.data();
    }
    admin.put(&format!("{path}/enable"), json!({})).await.data();

    let actions = world.audited(&user.id.to_string()).await;
    // The second request changed nothing, and showed the profile.
    assert_eq!(actions, ["user.disable", "admin.read", "user.enable"]);
    let after: Value = world
        .scalar("SELECT after FROM audit_logs WHERE action = 'user.disable'")
        .await;
    assert_eq!(after, json!({"reason": "floods", "sessions": 1}));
}

#[tokio::test]
async fn admins_cannot_disable_themselves() {
    let world = World::start().await;
    let admin = world.admin("root").await;
    let own = format!("/v1/users/{}/disable", admin.id);

    let answer = admin.put(&own, json!({})).await;

    answer.assert_error(403, "ACCESS_DENIED");
}

#[tokio::test]
async fn admins_see_deleted_users_but_cannot_change_them() {
    let world = World::start().await;
    let admin = world.admin("root").await;
    let user = world.user("ann").await;
    user.delete(ME).await.data();

    for id in [user.id.to_string(), new_id().to_string()] {
        for change in ["disable", "enable"] {
            let path = format!("/v1/users/{id}/{change}");
            let answer = admin.put(&path, json!({})).await;
            answer.assert_error(404, "NOT_FOUND");
        }
    }

    let seen = admin.get(&format!("/v1/users/{}", user.id)).await;
    assert_eq!(seen.data()["status"], "deleted");
    let listed = admin.get("/v1/users?status=deleted").await;
    assert_eq!(names(&listed), [format!("deleted-{}", user.id)]);
}
