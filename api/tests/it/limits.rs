//! How much one caller may ask, from where, and how slowly.

use crate::openapi::operations;
use crate::sign_in::Begun;
use crate::stub::Stub;
use crate::world::{Answer, User, World};
use reqwest::Method;
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;
use tiris_api::settings::Settings;
use tiris_domain::ids::new_id;
use tiris_testing::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A class of requests and how many of it the test allows.
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
            other => panic!("{other} is no class"),
        }
    }
}

async fn limited(classes: &'static [Rate]) -> World {
    World::start_with(|settings| rates(settings, classes)).await
}

/// What the headers of the rate limit say: limit, remaining, reset.
fn standing(answer: &Answer) -> (u64, u64, u64) {
    let number = |name: &str| {
        answer
            .header(name)
            .parse()
            .unwrap_or_else(|_| panic!("{name}: {} {}", answer.status, answer.text))
    };
    (
        number("x-ratelimit-limit"),
        number("x-ratelimit-remaining"),
        number("x-ratelimit-reset"),
    )
}

/// Holds an answer to be a refusal that says when to come again.
fn assert_limited(answer: &Answer, limit: u64, what: &str) {
    assert_eq!(answer.refusal(), (429, "RATE_LIMITED"), "{what}");
    let wait: u64 = answer.header("retry-after").parse().expect("seconds");
    let (told, remaining, reset) = standing(answer);
    assert_eq!((told, remaining), (limit, 0), "{what}");
    assert!(
        (1..=60 / limit).contains(&wait) && (wait..=60).contains(&reset),
        "{what}: {wait} {reset}"
    );
    assert!(
        answer.text.contains(&format!("in {wait} s")),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_user_has_one_allowance_whatever_the_token_and_others_have_theirs() {
    let world = limited(&[("general", 3)]).await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    let session = world.session(ann.id).await;
    let token = world.token(ann.id, session, chrono::Duration::hours(1));
    let again = User {
        world: &world,
        id: ann.id,
        session,
        token,
    };
    for (asked, remaining) in [(&ann, 2), (&again, 1), (&ann, 0)] {
        let answer = asked.get("/v1/tradings").await;
        answer.data();
        let (limit, left, reset) = standing(&answer);
        assert_eq!((limit, left, reset), (3, remaining, 20 * (3 - remaining)));
        assert_eq!(answer.header("retry-after"), "");
    }
    assert_limited(
        &again.get("/v1/tradings").await,
        3,
        "a second session of the same user",
    );
    bob.get("/v1/tradings").await.data();
    assert_eq!(
        world.anonymous("/v1/tradings").await.refusal().0,
        401,
        "an address is not its users"
    );
}

#[tokio::test]
async fn what_is_refused_does_nothing() {
    let world = limited(&[("money", 2)]).await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "10", "10").await;
    let path = format!("/v1/sub-accounts/{}/deposit", desk.stock);
    user.post(&path, json!({"amount": "1"})).await.data();
    assert_limited(
        &user.post(&path, json!({"amount": "1"})).await,
        2,
        "deposit",
    );
    assert_eq!(
        user.balance(&desk.stock).await,
        "11",
        "reading is another class"
    );
}

#[tokio::test]
async fn whoever_has_no_good_token_is_counted_by_address_and_only_once() {
    let world = limited(&[("general", 4)]).await;
    let ask = async |headers: &[(&str, &str)], path: &str| {
        world.ask(Method::GET, path, headers, None).await
    };
    for (headers, path, expected, remaining) in [
        (&[][..], "/v1/tradings", 401, 3),
        (
            &[("authorization", "Bearer garbage")][..],
            "/v1/tradings",
            401,
            2,
        ),
        (
            &[("authorization", "Basic YTpi")][..],
            "/v1/tradings",
            401,
            1,
        ),
        (
            &[("authorization", "Bearer garbage")][..],
            "/v1/nothing",
            404,
            0,
        ),
    ] {
        let answer = ask(headers, path).await;
        assert_eq!(
            (answer.refusal().0, standing(&answer).1),
            (expected, remaining),
            "{headers:?} {path}"
        );
    }
    assert_limited(&ask(&[], "/").await, 4, "an open operation");
    assert_limited(
        &ask(&[("authorization", "Bearer garbage")], "/v1/tradings").await,
        4,
        "a wrong token",
    );
    let user = world.user("ann").await;
    user.get("/v1/tradings").await.data();
    for path in ["/health/live", "/health/ready", "/.well-known/jwks.json"] {
        let answer = world.anonymous(path).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text);
        assert_eq!(
            answer.header("x-ratelimit-limit"),
            "",
            "{path} is not limited"
        );
    }
    let preflight = [
        ("origin", "https://tiris.ai"),
        ("access-control-request-method", "POST"),
    ];
    let answer = world
        .ask(Method::OPTIONS, "/v1/tradings", &preflight, None)
        .await;
    assert_eq!(answer.status, 204, "a preflight is not limited");
}

#[tokio::test]
async fn signing_in_is_limited_by_address_with_and_without_a_token() {
    let world = limited(&[("auth", 2)]).await;
    let user = world.user("ann").await;
    let login = async || {
        world
            .post("/v1/auth/login", json!({"provider": "google"}))
            .await
    };
    assert_eq!(login().await.refusal().0, 400);
    assert_eq!(
        standing(&user.post("/v1/auth/logout", json!({})).await),
        (2, 0, 60)
    );
    assert_limited(&login().await, 2, "login");
    let other = world.user("bob").await;
    assert_limited(
        &other.post("/v1/auth/logout", json!({})).await,
        2,
        "another user at the same address",
    );
    other.get("/v1/tradings").await.data();
}

#[tokio::test]
async fn an_address_behind_a_proxy_is_believed_when_the_proxy_is_ours() {
    let world = World::start_with(|settings| {
        rates(settings, &[("general", 1)]);
        settings.protection.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    })
    .await;
    let from = async |chain: &str| {
        world
            .ask(Method::GET, "/", &[("x-forwarded-for", chain)], None)
            .await
            .status
            .as_u16()
    };
    assert_eq!(from("192.0.2.1").await, 200);
    assert_eq!(
        from("198.51.100.1, 192.0.2.1").await,
        429,
        "what a client writes before it does not count"
    );
    assert_eq!(from("192.0.2.2").await, 200);
    assert_eq!(from("2001:db8:0:1::1").await, 200);
    assert_eq!(
        from("2001:db8:0:1:ffff::2").await,
        429,
        "one network is one client"
    );
    let direct = limited(&[("general", 1)]).await;
    let pretend = async |client: &str| {
        direct
            .ask(Method::GET, "/", &[("x-forwarded-for", client)], None)
            .await
            .status
            .as_u16()
    };
    assert_eq!(
        (pretend("192.0.2.1").await, pretend("192.0.2.2").await),
        (200, 429),
        "nobody is believed"
    );
}

#[tokio::test]
async fn hsts_and_the_audit_trail_believe_proxies_of_ours_only() {
    let secure = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "192.0.2.7"),
    ];
    for is_trusted in [true, false] {
        let world = World::start_with(|settings| {
            if is_trusted {
                settings.protection.trusted_proxies =
                    vec!["127.0.0.1/32".parse().expect("a network")];
            }
        })
        .await;
        let answer = world.ask(Method::GET, "/", &secure, None).await;
        let expected = if is_trusted {
            "max-age=31536000; includeSubDomains"
        } else {
            ""
        };
        assert_eq!(answer.header("strict-transport-security"), expected);
        let user = world.user("ann").await;
        let bearer = format!("Bearer {}", user.token);
        let headers = [secure[1], ("authorization", bearer.as_str())];
        world
            .ask(Method::POST, "/v1/auth/logout", &headers, None)
            .await
            .data();
        let address: String =
            sqlx::query_scalar("SELECT ip FROM audit_logs WHERE action = 'session.end'")
                .fetch_one(world.database.pool())
                .await
                .expect("an entry");
        assert_eq!(address, if is_trusted { "192.0.2.7" } else { "127.0.0.1" });
    }
}

/// What is not limited, so that those who watch the service never see it refuse.
const UNLIMITED: [&str; 2] = ["/health/live", "/health/ready"];

#[tokio::test]
async fn every_documented_operation_is_refused_once_its_class_is_used_up() {
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
        let answers = [
            user.send(method.clone(), &real, Some(json!({}))).await,
            user.send(method.clone(), &real, Some(json!({}))).await,
        ];
        if documented.is_null() {
            assert!(
                answers.iter().all(|answer| answer.status.is_success()),
                "{method} {path}"
            );
            unlimited.push(path);
            continue;
        }
        assert_limited(&answers[1], 1, &format!("{method} {path}"));
        assert!(
            documented["description"]
                .as_str()
                .is_some_and(|text| text.contains("`RATE_LIMITED`"))
        );
        for header in [
            "Retry-After",
            "X-RateLimit-Limit",
            "X-RateLimit-Remaining",
            "X-RateLimit-Reset",
        ] {
            assert!(
                documented["headers"][header].is_object(),
                "{method} {path}: {header}"
            );
        }
    }
    assert_eq!(unlimited, UNLIMITED);
}

/// Sends `head` and then `drip` again and again, until the server has enough; answers what it said.
async fn trickle(world: &World, head: &str, drip: &str) -> String {
    let mut stream = TcpStream::connect(world.address).await.expect("connected");
    stream
        .write_all(head.as_bytes())
        .await
        .expect("the beginning");
    let (mut read, mut write) = stream.into_split();
    let drip = drip.to_owned();
    let dripping = tokio::spawn(async move {
        while write.write_all(drip.as_bytes()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut said = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(30), read.read_to_end(&mut said)).await;
    dripping.abort();
    // A connection that is cut ends with an error or without, as the bytes under way have it.
    ended
        .expect("the server holds the connection for ever")
        .ok();
    String::from_utf8(said).expect("text")
}

#[tokio::test]
async fn a_request_that_trickles_does_not_hold_its_connection() {
    let world = World::start_with(|settings| {
        settings.request_timeout = Duration::from_secs(1);
        settings.protection.head_timeout = Duration::from_secs(1);
    })
    .await;
    let head = trickle(&world, "GET / HTTP/1.1\r\nhost: x\r\n", "x-drip: 1\r\n").await;
    assert!(!head.contains(" 200 "), "{head}");
    let begin = "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                 content-length: 200000\r\n\r\n{";
    let body = trickle(&world, begin, " ").await;
    assert!(body.starts_with("HTTP/1.1 503 "), "{body}");
    world.anonymous("/").await.data();
}

#[tokio::test]
async fn an_address_that_holds_too_many_connections_gets_no_more_until_it_lets_go() {
    let world = World::start_with(|settings| settings.protection.connections_per_address = 1).await;
    let ask = async |stream: &mut TcpStream| -> std::io::Result<usize> {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await?;
        stream.read(&mut [0; 4_096]).await
    };
    let mut first = TcpStream::connect(world.address).await.expect("connected");
    assert!(ask(&mut first).await.expect("an answer") > 0);
    let mut second = TcpStream::connect(world.address).await.expect("connected");
    assert!(
        matches!(ask(&mut second).await, Ok(0) | Err(_)),
        "the second one is closed"
    );
    assert!(
        ask(&mut first).await.expect("an answer") > 0,
        "the first one goes on"
    );
    drop(first);
    eventually(
        "a seat that is free again",
        Duration::from_secs(20),
        async || {
            let mut next = TcpStream::connect(world.address).await.expect("connected");
            match ask(&mut next).await {
                Ok(0) => Err("closed".to_owned()),
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        },
    )
    .await
    .expect("an answer");
}

#[tokio::test]
async fn whoever_comes_while_all_connections_are_taken_waits_for_one() {
    let world = World::start_with(|settings| settings.protection.connections = 1).await;
    let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut first = TcpStream::connect(world.address).await.expect("connected");
    first.write_all(request).await.expect("asked");
    assert!(first.read(&mut [0; 4_096]).await.expect("an answer") > 0);
    let mut second = TcpStream::connect(world.address)
        .await
        .expect("waiting in the queue");
    second.write_all(request).await.expect("asked");
    let mut answer = [0; 4_096];
    assert!(second.try_read(&mut answer).is_err(), "not yet");
    first.write_all(request).await.expect("asked");
    assert!(first.read(&mut [0; 4_096]).await.expect("an answer") > 0);
    assert!(
        second.try_read(&mut answer).is_err(),
        "still not, though the server has worked meanwhile"
    );
    drop(first);
    assert!(second.read(&mut answer).await.expect("an answer") > 0);
}

/// Provider and code of the refused sign-ins that are kept, oldest first, each with the address it came from.
async fn kept(world: &World) -> Vec<(Value, String)> {
    sqlx::query_as(
        "SELECT after, ip FROM audit_logs WHERE action = 'session.refuse' ORDER BY timestamp, id",
    )
    .fetch_all(world.database.pool())
    .await
    .expect("the audit trail")
}

#[tokio::test]
async fn refused_sign_ins_are_kept_without_secrets_and_not_without_end() {
    let stub = Stub::start().await;
    let providers = stub.settings();
    let world = World::start_with(|settings| settings.providers = providers).await;
    let login = Begun::at(&world, "google").await;
    let refusal = login.end(&world, "no-such-code").await;
    assert_eq!(refusal.refusal(), (400, "INVALID_AUTHORIZATION_CODE"));
    login.end(&world, "no-such-code").await.refusal();
    let local = "127.0.0.1".to_owned();
    let entry = |code: &str| (json!({"provider": "google", "code": code}), local.clone());
    assert_eq!(
        kept(&world).await,
        [entry("INVALID_AUTHORIZATION_CODE"), entry("STATE_MISMATCH")]
    );
    for _ in 0..300 {
        login.end(&world, "no-such-code").await.refusal();
    }
    let count = kept(&world).await.len();
    assert!((120..302).contains(&count), "{count} of 302 are kept");
}
