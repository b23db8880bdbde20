//! Sign-ins with forged, expired or foreign states, codes and id tokens, and failing providers.

use crate::sign_in::{Begun, by_google, world};
use crate::stub::{OTHER_REDIRECT, REDIRECT, Stub, pairs, sign};
use crate::world::{World, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::time::Duration;
use tiris_api::auth::keys;
use tiris_api::settings::Settings;
use tiris_domain::states::IdentityProvider;
use tiris_runtime::config::Environment;
use tiris_testing::eventually;

/// Long enough for a fetch on a busy machine.
const WAIT: Duration = Duration::from_secs(20);
const USERS: &str = "SELECT count(*) FROM users";

#[tokio::test]
async fn a_state_is_valid_for_one_login() {
    let (world, stub) = world().await;
    let login = Begun::at(&world, "google").await;
    let code = login.agreed(&stub, "g-1", "ann@example.com");
    login.end(&world, &code).await.data();

    let replayed = login.end(&world, &code).await;

    replayed.assert_error(400, "STATE_MISMATCH");
}

#[tokio::test]
async fn a_callback_must_match_its_login() {
    let (world, stub) = world().await;

    for (field, value, code) in [
        ("state", json!("unknown"), "STATE_MISMATCH"),
        ("provider", json!("wechat"), "STATE_MISMATCH"),
        (
            "redirect_uri",
            json!(OTHER_REDIRECT),
            "REDIRECT_URI_MISMATCH",
        ),
        ("login_verifier", json!("another's"), "STATE_MISMATCH"),
        ("login_verifier", Value::Null, "STATE_MISMATCH"),
        ("code", json!("unknown"), "INVALID_AUTHORIZATION_CODE"),
    ] {
        let login = Begun::at(&world, "google").await;
        let agreed = login.agreed(&stub, "g-2", "bob@example.com");
        let mut callback = login.callback(&agreed);
        callback[field] = value;

        let answer = world.post("/v1/auth/callback", callback).await;
        answer.assert_error(400, code);

        // An invalid callback consumes its state.
        if field != "state" {
            let again = login.end(&world, &agreed).await;
            again.assert_error(400, "STATE_MISMATCH");
        }
    }
    assert_eq!(world.scalar::<i64>(USERS).await, 0);
}

#[tokio::test]
async fn an_expired_or_unprotected_login_cannot_be_completed() {
    let (world, stub) = world().await;

    for fault in [
        "UPDATE oauth_states SET expires_at = now()",
        // An attacker began the login without a challenge for a browser with a verifier.
        "UPDATE oauth_states SET login_challenge = NULL",
    ] {
        let login = Begun::at(&world, "google").await;
        let code = login.agreed(&stub, "g-2", "bob@example.com");
        world.execute(fault).await;

        let answer = login.end(&world, &code).await;

        answer.assert_error(400, "STATE_MISMATCH");
    }
    assert_eq!(world.scalar::<i64>(USERS).await, 0);
}

#[tokio::test]
async fn rejects_the_code_of_another_login() {
    let (world, stub) = world().await;
    let mine = Begun::at(&world, "google").await;
    let theirs = Begun::at(&world, "google").await;
    let code = theirs.agreed(&stub, "g-1", "ann@example.com");

    let answer = mine.end(&world, &code).await;

    answer.assert_error(400, "INVALID_AUTHORIZATION_CODE");
}

/// Returns invalid id tokens for these claims, each with its fault.
fn forged(claims: &Value) -> Vec<(&'static str, String)> {
    let (right, wrong) = pairs();
    let by_wrong = |key_id| sign(claims, wrong, Algorithm::RS256, key_id);
    let signed = |claims: &Value| sign(claims, right, Algorithm::RS256, Some("key-1"));
    let with = |key: &str, value: Value| {
        let mut claims = claims.clone();
        claims[key] = value;
        signed(&claims)
    };
    let unsigned = |alg: &str| {
        let header = json!({"alg": alg, "kid": "key-1"}).to_string();
        let [header, claims] =
            [header, claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{header}.{claims}.")
    };
    let confused = Header {
        kid: Some("key-1".to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    let secret = EncodingKey::from_secret(b"key-1");
    let mut altered = signed(claims);
    altered.replace_range(altered.len() - 8.., "AAAAAAAA");
    let past = Utc::now().timestamp() - 3_600;

    vec![
        ("a wrong key under the right id", by_wrong(Some("key-1"))),
        ("an unknown key", by_wrong(Some("key-2"))),
        ("a wrong key without an id", by_wrong(None)),
        (
            "another algorithm",
            sign(claims, right, Algorithm::RS512, Some("key-1")),
        ),
        ("alg none", unsigned("none")),
        ("no signature", unsigned("RS256")),
        (
            "a secret for a key",
            encode(&confused, claims, &secret).expect("a token"),
        ),
        ("an altered signature", altered),
        ("garbage", "garbage".to_owned()),
        ("another audience", with("aud", json!("another-client"))),
        (
            "another authorized party",
            with("azp", json!("another-client")),
        ),
        (
            "another issuer",
            with("iss", json!("https://accounts.evil.example")),
        ),
        ("another nonce", with("nonce", json!("another"))),
        ("no nonce", with("nonce", Value::Null)),
        ("expired", with("exp", json!(past))),
        ("no expiry", with("exp", Value::Null)),
        ("no subject", with("sub", Value::Null)),
    ]
}

#[tokio::test]
async fn rejects_every_forged_id_token() {
    let (world, stub) = world().await;
    let login = Begun::at(&world, "google").await;
    let claims = stub.claims(&login.auth_url, "g-1", "ann@example.com");
    let end = async |token: String| {
        // A new login with the nonce of the first one.
        let own = Begun::at(&world, "google").await;
        let nonce = text(&claims["nonce"]);
        world.run("UPDATE oauth_states SET nonce = $1", nonce).await;
        own.end(&world, &stub.agree_to(&own.auth_url, token)).await
    };

    for (fault, token) in forged(&claims) {
        let answer = end(token).await;
        assert_eq!(answer.refusal(), (400, "OAUTH_ERROR"), "{fault}: {answer}");
    }

    let right = sign(&claims, &pairs().0, Algorithm::RS256, Some("key-1"));
    end(right).await.data();
    let fetched = stub.keys_asked();
    assert!(
        fetched <= 3,
        "forged tokens caused {fetched} requests for the keys"
    );
}

#[tokio::test]
async fn failures_of_a_provider_have_codes_and_leak_nothing() {
    let (world, _stub) = world().await;
    let cases = [
        ("google", "slow", 504, "UPSTREAM_TIMEOUT"),
        ("google", "broken", 503, "SERVICE_UNAVAILABLE"),
        ("google", "elsewhere", 400, "OAUTH_ERROR"),
        ("google", "endless", 400, "OAUTH_ERROR"),
        ("google", "nonsense", 400, "OAUTH_ERROR"),
        ("google", "refused", 400, "OAUTH_ERROR"),
        ("google", "tokenless", 400, "OAUTH_ERROR"),
        ("wechat", "slow", 504, "UPSTREAM_TIMEOUT"),
        ("wechat", "broken", 503, "SERVICE_UNAVAILABLE"),
        ("wechat", "elsewhere", 400, "OAUTH_ERROR"),
        ("wechat", "endless", 400, "OAUTH_ERROR"),
        ("wechat", "nonsense", 400, "OAUTH_ERROR"),
        ("wechat", "busy", 503, "SERVICE_UNAVAILABLE"),
        ("wechat", "unknown-app", 400, "OAUTH_ERROR"),
        ("wechat", "unknown", 400, "INVALID_AUTHORIZATION_CODE"),
    ];

    let logins = cases.map(async |(provider, trouble, status, code)| {
        let login = Begun::at(&world, provider).await;
        let answer = login.end(&world, trouble).await;
        answer.assert_error(status, code);
        answer.assert_lacks("secret");
    });
    futures_util::future::join_all(logins).await;
}

#[tokio::test]
async fn a_login_needs_a_configured_provider_and_address() {
    let (world, _stub) = world().await;
    let login = async |body: Value| world.post("/v1/auth/login", body).await;
    let valid = json!({"provider": "google", "redirect_uri": REDIRECT});

    for (field, value, code) in [
        ("provider", json!("facebook"), "INVALID_PROVIDER"),
        ("provider", json!(1), "INVALID_PROVIDER"),
        ("provider", Value::Null, "MISSING_FIELD"),
        ("redirect_uri", Value::Null, "MISSING_FIELD"),
        (
            "redirect_uri",
            json!("https://evil.example"),
            "REDIRECT_URI_MISMATCH",
        ),
        (
            "redirect_uri",
            json!(format!("{REDIRECT}/")),
            "REDIRECT_URI_MISMATCH",
        ),
        ("login_challenge", json!("short"), "INVALID_VALUE"),
    ] {
        let mut body = valid.clone();
        match value {
            Value::Null => drop(body.as_object_mut().expect("an object").shift_remove(field)),
            value => body[field] = value,
        }
        login(body).await.assert_error(400, code);
    }

    login(valid).await.data();
}

/// Offers providers without their secrets.
fn unconfigured(settings: &mut Settings) {
    settings.providers.offered = vec![IdentityProvider::Google, IdentityProvider::Wechat];
    settings.providers.redirect_uris = vec![REDIRECT.to_owned()];
}

#[tokio::test]
async fn a_login_at_an_unconfigured_provider_names_its_settings() {
    let world = World::start_with(unconfigured).await;
    let body = json!({"provider": "google", "redirect_uri": REDIRECT});

    let answer = world.post("/v1/auth/login", body).await;

    answer.assert_error(400, "INVALID_PROVIDER");
    answer.assert_contains("TIRIS_GOOGLE_CLIENT_ID");
}

#[tokio::test]
async fn an_unconfigured_provider_fails_readiness_in_production() {
    let world = World::start_with(unconfigured).await;
    let strict = World::start_with(|settings| {
        unconfigured(settings);
        keys::generate(&settings.key_files[0]).expect("a key");
        // Base64 of 32 bytes; nothing is encrypted here.
        settings.encryption.keys = "one:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".into();
        settings.encryption.fingerprint_key = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=".into();
        settings.service.environment = Environment::Production;
    })
    .await;

    let ready = world.anonymous("/health/ready").await;
    let note = json!("sign_in: google not configured, wechat not configured");
    assert!(
        ready.data()["notes"]
            .as_array()
            .is_some_and(|notes| notes.contains(&note)),
        "{ready}"
    );

    let ready = strict.anonymous("/health/ready").await;
    ready.assert_error(503, "SERVICE_UNAVAILABLE");
    ready.assert_contains("sign_in");
}

#[tokio::test]
async fn health_reads_the_keys_of_a_provider() {
    let (world, stub) = world().await;

    eventually("the keys", WAIT, async || {
        let ready = world.anonymous("/health/ready").await.to_string();
        let is_read = ready.contains("sign_in_keys: the keys of google were read 0 min ago");
        is_read.then_some(()).ok_or(ready)
    })
    .await
    .expect("read");

    assert_eq!(stub.keys_asked(), 1);
}

#[tokio::test]
async fn readiness_survives_a_provider_without_keys() {
    let stub = Stub::start().await;
    let world = World::start_with(|settings| {
        settings.providers = stub.settings();
        let google = settings.providers.google.as_mut().expect("configured");
        google.jwks_url = google.jwks_url.join("/none").expect("a URL");
    })
    .await;

    let ready = world.anonymous("/health/ready").await;

    assert_eq!(ready.data()["ready"], true);
    ready.assert_contains("sign_in_keys: the keys of google were not read within the last hour");
}

#[tokio::test]
async fn fetches_the_keys_of_a_provider_once() {
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
