//! Rate limits by user and by address.

mod connections;

use crate::openapi::operations;
use crate::sign_in::Begun;
use crate::stub::Stub;
use crate::world::{Answer, User, World};
use reqwest::Method;
use serde_json::{Value, json};
use std::num::NonZeroU32;
use tiris_api::settings::Settings;
use tiris_domain::ids::new_id;

/// A rate class, and its requests a minute.
type Rate = (&'static str, u32);

fn rates(settings: &mut Settings, rates: &[Rate]) {
    for (class, rate) in rates {
        let rate = NonZeroU32::new(*rate);
        let all = &mut settings.protection.rates;

        match *class {
            "general" => all.general = rate,
            "auth" => all.auth = rate,
            "money" => all.money = rate,
            "credentials" => all.credentials = rate,
            other => panic!("{other} is not a rate class"),
        }
    }
}

async fn limited(classes: &'static [Rate]) -> World {
    World::start_with(|settings| rates(settings, classes)).await
}

/// The rate limit headers of a response.
struct RateHeaders {
    limit: u64,
    remaining: u64,
    reset: u64,
}

#[track_caller]
fn rate_headers(answer: &Answer) -> RateHeaders {
    let number = |name: &str| {
        let value = answer.header(name).parse();
        value.unwrap_or_else(|_| panic!("{name}: {answer}"))
    };
    RateHeaders {
        limit: number("x-ratelimit-limit"),
        remaining: number("x-ratelimit-remaining"),
        reset: number("x-ratelimit-reset"),
    }
}

/// Asserts that a response is a rate limit error with the time to wait.
#[track_caller]
fn assert_limited(answer: &Answer, limit: u64) {
    answer.assert_error(429, "RATE_LIMITED");

    let wait: u64 = answer.header("retry-after").parse().expect("seconds");
    let headers = rate_headers(answer);
    assert_eq!(headers.limit, limit, "{answer}");
    assert_eq!(headers.remaining, 0, "{answer}");
    assert!((1..=60 / limit).contains(&wait), "{wait}: {answer}");
    assert!((wait..=60).contains(&headers.reset), "{wait}: {answer}");
    answer.assert_contains(&format!("in {wait} s"));
}

#[tokio::test]
async fn all_tokens_of_a_user_share_one_allowance() {
    let world = limited(&[("general", 3)]).await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let session = world.session(ann.id).await;
    let again = User {
        world: &world,
        id: ann.id,
        session,
        token: world.token(ann.id, session, chrono::Duration::hours(1)),
    };

    for (user, remaining) in [(&ann, 2), (&again, 1), (&ann, 0)] {
        let answer = user.get("/v1/tradings").await;
        answer.data();
        let headers = rate_headers(&answer);
        assert_eq!(headers.limit, 3);
        assert_eq!(headers.remaining, remaining);
        assert_eq!(headers.reset, 20 * (3 - remaining));
        assert_eq!(answer.header("retry-after"), "");
    }

    assert_limited(&again.get("/v1/tradings").await, 3);
    // Other users and the address have their own allowances.
    bob.get("/v1/tradings").await.data();
    world.anonymous("/v1/tradings").await.assert_status(401);
}

#[tokio::test]
async fn a_rate_limited_deposit_does_nothing() {
    let world = limited(&[("money", 2)]).await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    user.deposit(&book.stock, "1").await.data();

    let refused = user.deposit(&book.stock, "1").await;

    assert_limited(&refused, 2);
    // Reading is another class.
    assert_eq!(user.balance(&book.stock).await, "11");
}

#[tokio::test]
async fn requests_without_a_valid_token_are_charged_to_the_address() {
    let world = limited(&[("general", 4)]).await;
    let garbage = [("authorization", "Bearer garbage")];
    let basic = [("authorization", "Basic YTpi")];
    let request = async |headers: &[(&str, &str)], path: &str| {
        world.ask(Method::GET, path, headers, None).await
    };

    for (headers, path, status, remaining) in [
        (&[][..], "/v1/tradings", 401, 3),
        (&garbage[..], "/v1/tradings", 401, 2),
        (&basic[..], "/v1/tradings", 401, 1),
        (&garbage[..], "/v1/nothing", 404, 0),
    ] {
        let answer = request(headers, path).await;
        answer.assert_status(status);
        assert_eq!(rate_headers(&answer).remaining, remaining, "{answer}");
    }

    assert_limited(&request(&[], "/").await, 4);
    assert_limited(&request(&garbage, "/v1/tradings").await, 4);
    let user = world.user("ann").await;
    user.get("/v1/tradings").await.data();
}

#[tokio::test]
async fn probes_keys_and_preflights_are_not_limited() {
    let world = limited(&[("general", 1)]).await;
    world.anonymous("/").await.data();
    assert_limited(&world.anonymous("/").await, 1);

    for path in ["/health/live", "/health/ready", "/.well-known/jwks.json"] {
        let answer = world.anonymous(path).await;
        assert!(answer.status.is_success(), "{answer}");
        assert_eq!(answer.header("x-ratelimit-limit"), "", "{answer}");
    }
    let preflight = [
        ("origin", "https://tiris.ai"),
        ("access-control-request-method", "POST"),
    ];
    let answer = world
        .ask(Method::OPTIONS, "/v1/tradings", &preflight, None)
        .await;
    answer.assert_status(204);
}

#[tokio::test]
async fn signing_in_is_limited_by_address_with_and_without_a_token() {
    let world = limited(&[("auth", 2)]).await;
    let user = world.user("ann").await;
    let other = world.user("bob").await;
    let body = json!({"provider": "google"});
    let login = async || world.post("/v1/auth/login", body.clone()).await;

    login().await.assert_status(400);
    let logout = rate_headers(&user.post("/v1/auth/logout", json!({})).await);
    assert_eq!(logout.limit, 2);
    assert_eq!(logout.remaining, 0);
    assert_eq!(logout.reset, 60);

    assert_limited(&login().await, 2);
    // Another user at the same address.
    assert_limited(&other.post("/v1/auth/logout", json!({})).await, 2);
    other.get("/v1/tradings").await.data();
}

/// Returns the status of a request with this X-Forwarded-For.
async fn status_behind(world: &World, chain: &str) -> u16 {
    let headers = [("x-forwarded-for", chain)];
    let answer = world.ask(Method::GET, "/", &headers, None).await;
    answer.status.as_u16()
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_limited_separately() {
    let world = World::start_with(|settings| {
        rates(settings, &[("general", 1)]);
        settings.protection.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    })
    .await;

    assert_eq!(status_behind(&world, "192.0.2.1").await, 200);
    // Entries written by the client itself do not count.
    assert_eq!(status_behind(&world, "198.51.100.1, 192.0.2.1").await, 429);
    assert_eq!(status_behind(&world, "192.0.2.2").await, 200);
    // An IPv6 network of 64 bits is one client.
    assert_eq!(status_behind(&world, "2001:db8:0:1::1").await, 200);
    assert_eq!(status_behind(&world, "2001:db8:0:1:ffff::2").await, 429);
}

#[tokio::test]
async fn ignores_the_headers_of_other_proxies() {
    let world = limited(&[("general", 1)]).await;

    assert_eq!(status_behind(&world, "192.0.2.1").await, 200);
    assert_eq!(status_behind(&world, "192.0.2.2").await, 429);
}

#[tokio::test]
async fn hsts_and_the_audit_log_use_headers_of_trusted_proxies_only() {
    for (trusted, hsts, address) in [
        (
            Some("127.0.0.1/32"),
            "max-age=31536000; includeSubDomains",
            "192.0.2.7",
        ),
        (None, "", "127.0.0.1"),
    ] {
        let proxies = trusted.map(|network| network.parse().expect("a network"));
        let world = World::start_with(|settings| {
            settings.protection.trusted_proxies = proxies.into_iter().collect();
        })
        .await;
        let user = world.user("ann").await;
        let bearer = format!("Bearer {}", user.token);
        let headers = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "192.0.2.7"),
            ("authorization", bearer.as_str()),
        ];

        let answer = world
            .ask(Method::POST, "/v1/auth/logout", &headers, None)
            .await;

        answer.data();
        assert_eq!(answer.header("strict-transport-security"), hsts);
        let audited: String = world
            .scalar("SELECT ip FROM audit_logs WHERE action = 'session.end'")
            .await;
        assert_eq!(audited, address);
    }
}

/// Operations without a limit, so that monitoring is never rejected.
const UNLIMITED: [&str; 2] = ["/health/live", "/health/ready"];

const HEADERS: [&str; 4] = [
    "Retry-After",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
];

#[tokio::test]
async fn every_documented_operation_is_limited() {
    let world = limited(&[
        ("general", 1),
        ("auth", 1),
        ("money", 1),
        ("credentials", 1),
    ])
    .await;
    let user = world.user("ann").await;

    let mut unlimited = Vec::new();
    for (method, path, operation) in operations() {
        let method: Method = method.parse().expect("a method");
        let documented = &operation["responses"]["429"];
        let real = path
            .replace("{id}", &new_id().to_string())
            .replace("{trading_id}", &new_id().to_string());
        let first = user.send(method.clone(), &real, Some(json!({}))).await;
        let second = user.send(method, &real, Some(json!({}))).await;

        if documented.is_null() {
            assert!(first.status.is_success(), "{first}");
            assert!(second.status.is_success(), "{second}");
            unlimited.push(path);
            continue;
        }

        assert_limited(&second, 1);
        let description = documented["description"].as_str().unwrap_or_default();
        assert!(description.contains("`RATE_LIMITED`"), "{description}");
        for header in HEADERS {
            let is_documented = documented["headers"][header].is_object();
            assert!(is_documented, "{path}: {header}");
        }
    }

    assert_eq!(unlimited, UNLIMITED);
}

#[tokio::test]
async fn refused_sign_ins_are_audited_without_secrets() {
    let stub = Stub::start().await;
    let world = World::start_with(|settings| settings.providers = stub.settings()).await;
    let login = Begun::at(&world, "google").await;

    let refused = login.end(&world, "no-such-code").await;
    refused.assert_error(400, "INVALID_AUTHORIZATION_CODE");
    let again = login.end(&world, "no-such-code").await;
    again.assert_error(400, "STATE_MISMATCH");

    let entries: Vec<(Value, String)> = world
        .rows("SELECT after, ip FROM audit_logs WHERE action = 'session.refuse' ORDER BY timestamp, id")
        .await;
    let entry = |code: &str| {
        let after = json!({"provider": "google", "code": code});
        (after, "127.0.0.1".to_owned())
    };
    assert_eq!(
        entries,
        [entry("INVALID_AUTHORIZATION_CODE"), entry("STATE_MISMATCH")]
    );
}

#[tokio::test]
async fn limits_the_audit_entries_of_refused_sign_ins() {
    let stub = Stub::start().await;
    let world = World::start_with(|settings| settings.providers = stub.settings()).await;
    let login = Begun::at(&world, "google").await;

    for _ in 0..302 {
        login.end(&world, "no-such-code").await.refusal();
    }

    let count: i64 = world
        .scalar("SELECT count(*) FROM audit_logs WHERE action = 'session.refuse'")
        .await;
    assert!((120..302).contains(&count), "{count} of 302 were audited");
}
