//! Signing in with what is not ours, not now, not for us; and providers in trouble.

use crate::sign_in::{Begun, by_google, world};
use crate::stub::{OTHER_REDIRECT, REDIRECT, pairs, sign};
use crate::world::World;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tiris_api::auth::keys;
use tiris_runtime::config::Environment;

const NOBODY: &str = "SELECT count(*) FROM users";

#[tokio::test]
async fn a_state_opens_one_login_at_one_provider_from_one_browser_to_one_address() {
    let (world, stub) = world().await;
    let login = Begun::at(&world, "google").await;
    let code = stub.agree(
        &login.auth_url,
        &stub.claims(&login.auth_url, "g-1", "ann@example.com"),
    );
    login.end(&world, &code).await.data();
    assert_eq!(
        login.end(&world, &code).await.refusal(),
        (400, "STATE_MISMATCH"),
        "replayed"
    );
    let changes: [(&str, Value, &str); 6] = [
        ("state", json!("unknown"), "STATE_MISMATCH"),
        ("provider", json!("wechat"), "STATE_MISMATCH"),
        (
            "redirect_uri",
            json!(OTHER_REDIRECT),
            "REDIRECT_URI_MISMATCH",
        ),
        (
            "login_verifier",
            json!("another browser's"),
            "STATE_MISMATCH",
        ),
        ("login_verifier", Value::Null, "STATE_MISMATCH"),
        ("code", json!("unknown"), "INVALID_AUTHORIZATION_CODE"),
    ];
    for (field, value, expected) in changes {
        let login = Begun::at(&world, "google").await;
        let code = stub.agree(
            &login.auth_url,
            &stub.claims(&login.auth_url, "g-2", "bob@example.com"),
        );
        let mut callback = login.callback(&code);
        callback[field] = value;
        let answer = world.post("/v1/auth/callback", callback).await;
        assert_eq!(answer.refusal(), (400, expected), "{field}");
        if field != "state" {
            assert_eq!(
                login.end(&world, &code).await.refusal(),
                (400, "STATE_MISMATCH"),
                "{field}: used up"
            );
        }
    }
    let late = Begun::at(&world, "google").await;
    let code = stub.agree(
        &late.auth_url,
        &stub.claims(&late.auth_url, "g-2", "bob@example.com"),
    );
    sqlx::query("UPDATE oauth_states SET expires_at = now()")
        .execute(world.database.pool())
        .await
        .expect("expired");
    assert_eq!(
        late.end(&world, &code).await.refusal(),
        (400, "STATE_MISMATCH"),
        "expired"
    );
    // Begun by somebody else without a challenge, and handed to a browser that has a verifier.
    let handed = Begun::at(&world, "google").await;
    let code = stub.agree(
        &handed.auth_url,
        &stub.claims(&handed.auth_url, "g-2", "bob@example.com"),
    );
    sqlx::query("UPDATE oauth_states SET login_challenge = NULL")
        .execute(world.database.pool())
        .await
        .expect("no challenge");
    assert_eq!(
        handed.end(&world, &code).await.refusal(),
        (400, "STATE_MISMATCH"),
        "without a challenge"
    );
    let people: i64 = sqlx::query_scalar(NOBODY)
        .fetch_one(world.database.pool())
        .await
        .expect("a count");
    assert_eq!(people, 1, "only the first one came in");
}

#[tokio::test]
async fn a_code_of_another_login_is_refused_by_its_proof() {
    let (world, stub) = world().await;
    let (mine, theirs) = (
        Begun::at(&world, "google").await,
        Begun::at(&world, "google").await,
    );
    let code = stub.agree(
        &theirs.auth_url,
        &stub.claims(&theirs.auth_url, "g-1", "ann@example.com"),
    );
    assert_eq!(
        mine.end(&world, &code).await.refusal(),
        (400, "INVALID_AUTHORIZATION_CODE")
    );
}

#[tokio::test]
async fn an_id_token_that_is_not_googles_for_us_and_for_this_login_signs_nobody_in() {
    let (world, stub) = world().await;
    let (right, wrong) = pairs();
    let login = Begun::at(&world, "google").await;
    let claims = stub.claims(&login.auth_url, "g-1", "ann@example.com");
    let changed = |key: &str, value: Value| {
        let mut claims = claims.clone();
        claims[key] = value;
        claims
    };
    let signed = |claims: &Value| sign(claims, right, Algorithm::RS256, Some("key-1"));
    let unsigned = |header: Value| {
        format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        )
    };
    let confused = Header {
        kid: Some("key-1".to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    let mut altered = signed(&claims);
    altered.replace_range(altered.len() - 8.., "AAAAAAAA");
    let past = Utc::now().timestamp() - 3_600;
    let forged = [
        (
            "a wrong key under the right id",
            sign(&claims, wrong, Algorithm::RS256, Some("key-1")),
        ),
        (
            "an unknown key",
            sign(&claims, wrong, Algorithm::RS256, Some("key-2")),
        ),
        (
            "a wrong key without an id",
            sign(&claims, wrong, Algorithm::RS256, None),
        ),
        (
            "another algorithm",
            sign(&claims, right, Algorithm::RS512, Some("key-1")),
        ),
        ("alg none", unsigned(json!({"alg": "none", "kid": "key-1"}))),
        (
            "no signature",
            unsigned(json!({"alg": "RS256", "kid": "key-1"})),
        ),
        (
            "a secret for a key",
            encode(&confused, &claims, &EncodingKey::from_secret(b"key-1")).expect("a token"),
        ),
        ("an altered signature", altered),
        ("garbage", "garbage".to_owned()),
        (
            "another audience",
            signed(&changed("aud", json!("another-client"))),
        ),
        (
            "another authorized party",
            signed(&changed("azp", json!("another-client"))),
        ),
        (
            "another issuer",
            signed(&changed("iss", json!("https://accounts.evil.example"))),
        ),
        ("another nonce", signed(&changed("nonce", json!("another")))),
        ("no nonce", signed(&changed("nonce", Value::Null))),
        ("expired", signed(&changed("exp", json!(past)))),
        ("no expiry", signed(&changed("exp", Value::Null))),
        ("nobody", signed(&changed("sub", Value::Null))),
    ];
    for (what, token) in forged {
        // A login of its own with the nonce of the first one.
        let own = Begun::at(&world, "google").await;
        sqlx::query("UPDATE oauth_states SET nonce = $1")
            .bind(claims["nonce"].as_str())
            .execute(world.database.pool())
            .await
            .expect("a nonce");
        let answer = own.end(&world, &stub.agree_to(&own.auth_url, token)).await;
        assert_eq!(answer.refusal(), (400, "OAUTH_ERROR"), "{what}");
    }
    let own = Begun::at(&world, "google").await;
    sqlx::query("UPDATE oauth_states SET nonce = $1")
        .bind(claims["nonce"].as_str())
        .execute(world.database.pool())
        .await
        .expect("a nonce");
    own.end(&world, &stub.agree_to(&own.auth_url, signed(&claims)))
        .await
        .data();
    assert!(
        stub.keys_asked() <= 3,
        "strangers make us ask {} times",
        stub.keys_asked()
    );
}

#[tokio::test]
async fn trouble_of_a_provider_is_told_apart_and_shows_nothing() {
    let (world, _stub) = world().await;
    let cases = [
        ("google", "slow", (504, "UPSTREAM_TIMEOUT")),
        ("google", "broken", (503, "SERVICE_UNAVAILABLE")),
        ("google", "elsewhere", (400, "OAUTH_ERROR")),
        ("google", "endless", (400, "OAUTH_ERROR")),
        ("google", "nonsense", (400, "OAUTH_ERROR")),
        ("google", "refused", (400, "OAUTH_ERROR")),
        ("google", "tokenless", (400, "OAUTH_ERROR")),
        ("wechat", "slow", (504, "UPSTREAM_TIMEOUT")),
        ("wechat", "broken", (503, "SERVICE_UNAVAILABLE")),
        ("wechat", "elsewhere", (400, "OAUTH_ERROR")),
        ("wechat", "endless", (400, "OAUTH_ERROR")),
        ("wechat", "nonsense", (400, "OAUTH_ERROR")),
        ("wechat", "busy", (503, "SERVICE_UNAVAILABLE")),
        ("wechat", "unknown-app", (400, "OAUTH_ERROR")),
        ("wechat", "unknown", (400, "INVALID_AUTHORIZATION_CODE")),
    ];
    let asked = cases.map(async |(provider, code, expected)| {
        let answer = Begun::at(&world, provider).await.end(&world, code).await;
        assert_eq!(answer.refusal(), expected, "{provider} {code}");
        assert!(!answer.text.contains("secret"), "{}", answer.text);
    });
    futures_util::future::join_all(asked).await;
}

#[tokio::test]
async fn a_login_begins_only_with_a_provider_and_an_address_that_are_configured() {
    let (world, _stub) = world().await;
    let login = async |body: Value| world.post("/v1/auth/login", body).await;
    for (body, expected) in [
        (
            json!({"provider": "facebook", "redirect_uri": REDIRECT}),
            "INVALID_PROVIDER",
        ),
        (
            json!({"provider": 1, "redirect_uri": REDIRECT}),
            "INVALID_PROVIDER",
        ),
        (json!({"redirect_uri": REDIRECT}), "MISSING_FIELD"),
        (json!({"provider": "google"}), "MISSING_FIELD"),
        (
            json!({"provider": "google", "redirect_uri": "https://evil.example"}),
            "REDIRECT_URI_MISMATCH",
        ),
        (
            json!({"provider": "google", "redirect_uri": format!("{REDIRECT}/")}),
            "REDIRECT_URI_MISMATCH",
        ),
        (
            json!({"provider": "google", "redirect_uri": REDIRECT, "login_challenge": "short"}),
            "INVALID_VALUE",
        ),
    ] {
        assert_eq!(
            login(body.clone()).await.refusal(),
            (400, expected),
            "{body}"
        );
    }
    login(json!({"provider": "google", "redirect_uri": REDIRECT}))
        .await
        .data();
}

#[tokio::test]
async fn a_provider_that_is_not_configured_says_so_and_fails_readiness_only_in_production() {
    let change = |settings: &mut tiris_api::settings::Settings| {
        settings.providers.offered = vec!["google".to_owned(), "wechat".to_owned()];
        settings.providers.redirect_uris = vec![REDIRECT.to_owned()];
    };
    let world = World::start_with(change).await;
    let answer = world
        .post(
            "/v1/auth/login",
            json!({"provider": "google", "redirect_uri": REDIRECT}),
        )
        .await;
    assert_eq!(answer.refusal(), (400, "INVALID_PROVIDER"));
    assert!(
        answer.text.contains("TIRIS_GOOGLE_CLIENT_ID"),
        "{}",
        answer.text
    );
    let ready = world.anonymous("/health/ready").await;
    let told = json!("sign_in: google not configured, wechat not configured");
    assert!(
        ready.data()["notes"]
            .as_array()
            .is_some_and(|notes| notes.contains(&told)),
        "{}",
        ready.text
    );
    let strict = World::start_with(|settings| {
        change(settings);
        keys::make(&settings.key_files[0]).expect("a key");
        // Base64 of 32 bytes; nothing is encrypted here.
        settings.encryption.keys = "one:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".into();
        settings.encryption.fingerprint_key = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=".into();
        settings.service.environment = Environment::Production;
    })
    .await;
    let ready = strict.anonymous("/health/ready").await;
    assert_eq!(ready.refusal(), (503, "SERVICE_UNAVAILABLE"));
    assert!(ready.text.contains("sign_in"), "{}", ready.text);
}

#[tokio::test]
async fn keys_are_asked_for_once_and_not_with_every_login() {
    let (world, stub) = world().await;
    for subject in ["g-1", "g-2", "g-3"] {
        by_google(
            &world,
            &stub,
            subject,
            &format!("{subject}@example.com"),
            true,
        )
        .await
        .data();
    }
    assert_eq!(stub.keys_asked(), 1);
}
