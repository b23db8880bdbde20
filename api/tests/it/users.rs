//! Users: what they change of themselves, how they leave, and what admins do with them.

use crate::world::{Answer, User, World, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tiris_domain::ids::new_id;

#[tokio::test]
async fn people_change_what_they_name_and_nothing_else() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let settings = json!({"theme": "dark", "numbers": [1.10]});
    let changed = user
        .put(
            "/v1/users/me",
            json!({"full_name": "Ann", "settings": settings}),
        )
        .await;
    assert_eq!(
        (&changed.data()["full_name"], &changed.data()["settings"]),
        (&json!("Ann"), &settings)
    );
    assert_eq!(changed.data()["username"], "ann", "what is left out stays");
    let changed = user
        .put(
            "/v1/users/me",
            json!({"username": "ann.b", "avatar": "https://a.example/b.png", "email": "x@y.example"}),
        )
        .await;
    assert_eq!(
        (&changed.data()["username"], &changed.data()["full_name"]),
        (&json!("ann.b"), &json!("Ann"))
    );
    assert_eq!(changed.data()["avatar"], "https://a.example/b.png");
    assert_eq!(
        changed.data()["email"],
        "ann@example.com",
        "an address is not changed here"
    );
    assert_eq!(changed.data()["settings"], settings);
    let bare = user
        .put("/v1/users/me", json!({"avatar": "", "settings": {}}))
        .await;
    assert_eq!(
        (&bare.data()["avatar"], &bare.data()["settings"]),
        (&Value::Null, &json!({}))
    );
    assert_eq!(user.get("/v1/users/me").await.data(), bare.data());
    assert_eq!(
        world.audited(&user.id.to_string()).await,
        ["user.change"; 3]
    );
}

#[tokio::test]
async fn a_profile_that_cannot_be_is_refused_by_name() {
    let world = World::start().await;
    let user = world.user("ann").await;
    for (body, code) in [
        (json!({"username": ""}), "INVALID_VALUE"),
        (json!({"username": " ann"}), "INVALID_VALUE"),
        (json!({"username": "a\nb"}), "INVALID_VALUE"),
        (json!({"username": "a".repeat(129)}), "INVALID_VALUE"),
        (json!({"username": 1}), "INVALID_VALUE"),
        (json!({"full_name": "a".repeat(257)}), "INVALID_VALUE"),
        (json!({"avatar": "javascript:alert(1)"}), "INVALID_VALUE"),
        (json!({"settings": []}), "INVALID_INFO_STRUCTURE"),
        (
            json!({"settings": {"a": "x".repeat(17_000)}}),
            "INVALID_INFO_STRUCTURE",
        ),
    ] {
        let answer = user.put("/v1/users/me", body.clone()).await;
        assert_eq!(answer.refusal(), (400, code), "{body}");
        let field = body
            .as_object()
            .and_then(|object| object.keys().next())
            .expect("a field")
            .clone();
        assert!(
            answer.body["error"]["details"]
                .as_str()
                .is_some_and(|why| why.contains(&field)),
            "{}",
            answer.text
        );
    }
}

#[tokio::test]
async fn of_many_who_want_one_name_at_once_exactly_one_gets_it() {
    let world = World::start().await;
    let mut people = Vec::new();
    for index in 0..6 {
        people.push(world.user(&format!("u{index}")).await);
    }
    let want = async |user: &User<'_>| {
        user.put("/v1/users/me", json!({"username": "wanted"}))
            .await
    };
    let answers: Vec<Answer> = futures_util::future::join_all(people.iter().map(want)).await;
    let winners = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(winners, 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.refusal(), (409, "USERNAME_EXISTS"));
    }
}

#[tokio::test]
async fn who_leaves_is_signed_out_everywhere_and_leaves_no_credentials() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "10", "1").await;
    for statement in [
        "INSERT INTO oauth_identities (id, user_id, provider, subject) VALUES (gen_random_uuid(), $1, 'google', 's')",
        "INSERT INTO exchange_bindings (id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, \
         passphrase_encrypted, masked_api_key, key_id, fingerprint) \
         VALUES (gen_random_uuid(), $1, 'mine', 'kraken', 'private', 'a', 'b', 'c', 'd', 'e', 'f')",
    ] {
        world.run(statement, user.id.0).await;
    }
    let second = world.session(user.id).await;
    let elsewhere = world.token(user.id, second, chrono::Duration::hours(1));
    assert!(user.delete("/v1/users/me").await.data()["message"].is_string());
    for token in [&user.token, &elsewhere] {
        let bearer = format!("Bearer {token}");
        let answer = world
            .ask(
                reqwest::Method::GET,
                "/v1/users/me",
                &[("authorization", &bearer)],
                None,
            )
            .await;
        assert_eq!(answer.refusal(), (401, "INVALID_TOKEN"));
    }
    let left: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM oauth_identities WHERE user_id = $1), \
         (SELECT count(*) FROM sessions WHERE user_id = $1 AND revoked_at IS NULL), \
         (SELECT count(*) FROM exchange_bindings WHERE user_id = $1 AND (status <> 'deleted' OR \
          num_nonnulls(api_key_encrypted, api_secret_encrypted, passphrase_encrypted, masked_api_key, key_id, fingerprint) > 0))",
    )
    .bind(user.id.0)
    .fetch_one(world.database.pool())
    .await
    .expect("counts");
    assert_eq!(left, (0, 0, 0));
    let again = world.user("ann").await;
    assert_ne!(again.id, user.id, "name and address are free again");
    assert_eq!(
        again
            .get(&format!("/v1/tradings/{}", desk.trading))
            .await
            .refusal(),
        (404, "NOT_FOUND")
    );
    assert_eq!(world.audited(&user.id.to_string()).await, ["user.delete"]);
}

fn names(answer: &Answer) -> Vec<String> {
    answer.data()["users"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|user| text(&user["username"]))
        .collect()
}

#[tokio::test]
async fn admins_find_users_page_by_page_and_by_what_they_are_called() {
    let world = World::start().await;
    let admin = world.admin("root").await;
    for name in ["ann", "bob", "100%", "under_score"] {
        world.user(name).await;
    }
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
    assert_eq!(
        seen,
        ["under_score", "100%", "bob", "ann", "root"],
        "newest first, each once"
    );
    let found = async |query: &str| names(&admin.get(&format!("/v1/users?{query}")).await);
    assert_eq!(found("query=ANN").await, ["ann"]);
    assert_eq!(found("query=bob@example").await, ["bob"]);
    assert_eq!(found("query=%25").await, ["100%"], "no wildcard");
    assert_eq!(found("query=r_s").await, ["under_score"]);
    assert_eq!(found(&format!("query={}", admin.id)).await, ["root"]);
    assert_eq!(found("query=nobody").await, Vec::<String>::new());
    assert_eq!(found("status=disabled").await, Vec::<String>::new());
    for wrong in [
        "limit=0",
        "limit=1001",
        "cursor=x",
        "status=gone",
        "query=%00",
    ] {
        assert_eq!(
            admin.get(&format!("/v1/users?{wrong}")).await.refusal(),
            (400, "INVALID_VALUE"),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_user_is_disabled_at_once_and_has_to_sign_in_again_when_enabled() {
    let world = World::start().await;
    let (admin, user) = (world.admin("root").await, world.user("ann").await);
    user.get("/v1/users/me").await.data();
    let path = format!("/v1/users/{}", user.id);
    for _ in 0..2 {
        let disabled = admin
            .put(&format!("{path}/disable"), json!({"reason": "floods"}))
            .await;
        assert_eq!(disabled.data()["status"], "disabled");
    }
    assert_eq!(
        user.get("/v1/users/me").await.refusal(),
        (403, "ACCOUNT_DISABLED")
    );
    assert_eq!(admin.get(&path).await.data()["status"], "disabled");
    let enabled = admin.put(&format!("{path}/enable"), json!({})).await;
    assert_eq!(enabled.data()["status"], "active");
    assert_eq!(
        user.get("/v1/users/me").await.refusal(),
        (401, "INVALID_TOKEN"),
        "the sessions stay ended"
    );
    assert_eq!(
        world.audited(&user.id.to_string()).await,
        ["user.disable", "user.enable"]
    );
    let reason: Value = sqlx::query_scalar(
        "SELECT after FROM audit_logs WHERE action = 'user.disable' AND user_id = $1",
    )
    .bind(admin.id.0)
    .fetch_one(world.database.pool())
    .await
    .expect("audited");
    assert_eq!(reason, json!({"reason": "floods", "sessions": 1}));
}

#[tokio::test]
async fn admins_cannot_disable_themselves_nor_bring_back_who_has_left() {
    let world = World::start().await;
    let (admin, user) = (world.admin("root").await, world.user("ann").await);
    let own = format!("/v1/users/{}/disable", admin.id);
    assert_eq!(
        admin.put(&own, json!({})).await.refusal(),
        (403, "ACCESS_DENIED")
    );
    user.delete("/v1/users/me").await.data();
    for id in [user.id.to_string(), new_id().to_string()] {
        for (what, body) in [("disable", json!({})), ("enable", json!({}))] {
            assert_eq!(
                admin
                    .put(&format!("/v1/users/{id}/{what}"), body)
                    .await
                    .refusal(),
                (404, "NOT_FOUND")
            );
        }
    }
    assert_eq!(
        admin.get(&format!("/v1/users/{}", user.id)).await.data()["status"],
        "deleted"
    );
    let roles: BTreeSet<String> = names(&admin.get("/v1/users?status=deleted").await)
        .into_iter()
        .collect();
    assert_eq!(roles, BTreeSet::from(["ann".to_owned()]));
}
