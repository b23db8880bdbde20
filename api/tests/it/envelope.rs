//! What every answer has in common.

use crate::world::World;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn every_kind_of_failure_is_in_the_envelope() {
    let world = World::start().await;
    let user = world.user("ann").await;
    assert_eq!(
        world.anonymous("/nowhere").await.refusal(),
        (404, "NOT_FOUND")
    );
    assert_eq!(
        world.anonymous("/v1/nowhere").await.refusal(),
        (404, "NOT_FOUND")
    );
    assert_eq!(
        world.anonymous("/v1/tradings").await.refusal(),
        (401, "AUTH_REQUIRED")
    );
    let bearer = format!("Bearer {}", user.token);
    let auth = ("authorization", bearer.as_str());
    let json_type = ("content-type", "application/json");
    let ask =
        |method, path: &'static str, headers: Vec<(&'static str, &'static str)>, body: &str| {
            let headers: Vec<(&str, &str)> = headers.into_iter().chain([auth]).collect();
            let body = body.to_owned();
            let world = &world;
            async move { world.ask(method, path, &headers, Some(body)).await }
        };
    assert_eq!(
        ask(Method::PATCH, "/v1/tradings", vec![], "")
            .await
            .refusal(),
        (405, "METHOD_NOT_ALLOWED")
    );
    assert_eq!(
        ask(Method::POST, "/openapi.json", vec![], "")
            .await
            .refusal(),
        (405, "METHOD_NOT_ALLOWED")
    );
    for headers in [
        vec![],
        vec![("content-type", "text/plain")],
        vec![("content-type", "nonsense")],
    ] {
        let answer = ask(Method::POST, "/v1/tradings", headers, "{}").await;
        assert_eq!(answer.refusal(), (415, "UNSUPPORTED_MEDIA_TYPE"));
    }
    for malformed in [
        "",
        "{",
        "nonsense",
        "{\"name\": \"\\ud800\"}",
        "{} {}",
        "{\"name\":}",
    ] {
        let answer = ask(Method::POST, "/v1/tradings", vec![json_type], malformed).await;
        assert_eq!(answer.refusal(), (400, "INVALID_REQUEST"), "{malformed:?}");
    }
    assert_eq!(
        ask(Method::POST, "/v1/tradings", vec![json_type], "[]")
            .await
            .refusal(),
        (400, "INVALID_REQUEST")
    );
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(256 * 1024));
    assert_eq!(
        ask(Method::POST, "/v1/tradings", vec![json_type], &large)
            .await
            .refusal(),
        (413, "BODY_TOO_LARGE")
    );
    assert_eq!(
        user.get("/v1/tradings/no-uuid").await.refusal(),
        (400, "INVALID_VALUE")
    );
}

#[tokio::test]
async fn a_method_that_is_not_allowed_is_answered_with_those_that_are() {
    let world = World::start().await;
    let id = "01928f2e-7c3a-7b6f-9d10-3f5d2a1b4c5e";
    for (path, allowed) in [
        ("/", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
        ("/docs", "GET, HEAD"),
        ("/v1/tradings", "GET, HEAD, POST"),
        (&format!("/v1/tradings/{id}"), "GET, HEAD, PUT, DELETE"),
        (&format!("/v1/sub-accounts/{id}/deposit"), "POST"),
        (&format!("/v1/trading-logs/trading/{id}"), "GET, HEAD"),
    ] {
        let answer = world.ask(Method::PATCH, path, &[], None).await;
        assert_eq!(answer.refusal(), (405, "METHOD_NOT_ALLOWED"), "{path}");
        assert_eq!(answer.header("allow"), allowed, "{path}");
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_off_at_the_limit() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let mut stream = TcpStream::connect(world.address).await.expect("connected");
    let head = format!(
        "POST /v1/tradings HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        user.token
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, " ".repeat(64 * 1024));
    for _ in 0..5 {
        stream.write_all(chunk.as_bytes()).await.expect("sent");
    }
    let mut answer = vec![0; 12];
    stream
        .read_exact(&mut answer)
        .await
        .expect("an answer before the body has ended");
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 413");
}

#[tokio::test]
async fn the_trace_id_is_the_callers_or_a_new_one() {
    let world = World::start().await;
    let ask = async |headers: &[(&str, &str)]| {
        let answer = world.ask(Method::GET, "/v1/tradings", headers, None).await;
        answer.refusal();
        answer.header("x-request-id").to_owned()
    };
    let traceparent = (
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    );
    assert_eq!(ask(&[("x-request-id", "mine-1")]).await, "mine-1");
    assert_eq!(
        ask(&[traceparent]).await,
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    assert_eq!(
        ask(&[("x-request-id", "mine-1"), traceparent]).await,
        "mine-1"
    );
    for strange in ["a b", "<script>", &"x".repeat(200)] {
        assert_eq!(
            ask(&[("x-request-id", strange)]).await.len(),
            32,
            "{strange:?} is replaced"
        );
    }
    assert_ne!(ask(&[]).await, ask(&[]).await);
}

#[tokio::test]
async fn a_client_that_knows_the_data_gets_304() {
    let world = World::start().await;
    let user = world.user("ann").await;
    user.desk("grid", "1", "1").await;
    for path in [
        "/v1/tradings",
        "/v1/sub-accounts",
        "/v1/transactions?limit=1",
        "/v1/users/me",
    ] {
        let first = user.get(path).await;
        let tag = first.header("etag").to_owned();
        assert!(
            tag.starts_with('"') && tag.len() > 10,
            "{path}: a strong tag: {tag}"
        );
        assert_eq!(first.header("cache-control"), "private, no-cache");
        assert_eq!(
            user.get(path).await.header("etag"),
            tag,
            "{path}: the metadata does not count"
        );
        for known in [
            tag.clone(),
            format!("\"x\", {tag}"),
            format!("W/{tag}"),
            "*".to_owned(),
        ] {
            let again = user.get_with(path, &[("if-none-match", &known)]).await;
            assert_eq!(
                (again.status.as_u16(), again.text.as_str()),
                (304, ""),
                "{path} {known}"
            );
            assert_eq!(again.header("etag"), tag);
        }
        assert_eq!(
            user.get_with(path, &[("if-none-match", "\"x\"")])
                .await
                .status,
            200
        );
        let two_lines = [("if-none-match", "\"x\""), ("if-none-match", tag.as_str())];
        assert_eq!(
            user.get_with(path, &two_lines).await.status,
            304,
            "{path}: a list may be split in lines"
        );
    }
    let tag = user.get("/v1/tradings").await.header("etag").to_owned();
    let made = user
        .post("/v1/tradings", json!({"name": "new", "type": "paper"}))
        .await;
    assert_eq!(
        (made.header("etag"), made.header("cache-control")),
        ("", "no-store")
    );
    let changed = user
        .get_with("/v1/tradings", &[("if-none-match", &tag)])
        .await;
    assert_eq!(changed.status, 200, "the data has changed");
}

#[tokio::test]
async fn browsers_of_known_origins_only_may_read() {
    let world = World::start().await;
    let preflight = |origin: &'static str| {
        let world = &world;
        async move {
            let headers = [
                ("origin", origin),
                ("access-control-request-method", "POST"),
            ];
            world
                .ask(Method::OPTIONS, "/v1/tradings", &headers, None)
                .await
        }
    };
    let known = preflight("https://tiris.ai").await;
    assert_eq!(
        known.header("access-control-allow-origin"),
        "https://tiris.ai"
    );
    assert_eq!(known.header("access-control-max-age"), "7200");
    assert!(
        known
            .header("access-control-allow-headers")
            .contains("Idempotency-Key")
    );
    assert!(
        known
            .header("access-control-allow-methods")
            .contains("DELETE")
    );
    assert_eq!(
        preflight("http://localhost:5173")
            .await
            .header("access-control-allow-origin"),
        "http://localhost:5173"
    );
    assert_eq!(
        preflight("https://evil.example")
            .await
            .header("access-control-allow-origin"),
        ""
    );
    let failure = world
        .ask(
            Method::GET,
            "/v1/tradings",
            &[("origin", "https://tiris.ai")],
            None,
        )
        .await;
    assert_eq!(failure.refusal(), (401, "AUTH_REQUIRED"));
    assert_eq!(
        failure.header("access-control-allow-origin"),
        "https://tiris.ai",
        "a page may read why it failed"
    );
    assert!(
        failure
            .header("access-control-expose-headers")
            .contains("X-Request-ID")
    );
    assert_eq!(failure.header("vary"), "Origin");
}

#[tokio::test]
async fn answers_tell_browsers_to_be_careful() {
    let world = World::start().await;
    for path in ["/", "/v1/tradings", "/nowhere", "/docs"] {
        let answer = world.anonymous(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert!(
            answer
                .header("content-security-policy")
                .contains("default-src 'none'"),
            "{path}"
        );
        assert_eq!(
            answer.header("strict-transport-security"),
            "",
            "{path}: not behind TLS"
        );
    }
}

#[tokio::test]
async fn the_root_says_where_to_go() {
    let world = World::start().await;
    let root = world.anonymous("/").await;
    assert_eq!(root.data()["name"], "Tiris API");
    for (_, path) in root.data()["links"].as_object().expect("links") {
        assert_eq!(
            world.anonymous(path.as_str().expect("a path")).await.status,
            200,
            "{path}"
        );
    }
    assert_eq!(
        world.anonymous("/health/live").await.data(),
        &json!({"live": true})
    );
    assert_eq!(
        world.anonymous("/health/ready").await.data(),
        &json!({"ready": true, "checks": ["database", "nats", "sign_in"],
                "notes": ["database: reachable and migrated",
                          "nats: not configured, live streams look by themselves", "sign_in: no provider is offered"]})
    );
}
