//! The envelope and headers of every answer.

use crate::world::{Answer, World, text};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const JSON: (&str, &str) = ("content-type", "application/json");
const LIST: &str = "/v1/tradings";

#[tokio::test]
async fn unknown_paths_and_methods_get_the_envelope() {
    let world = World::start().await;
    let user = world.user("ann").await;

    for (path, status, code) in [
        ("/nowhere", 404, "NOT_FOUND"),
        ("/v1/nowhere", 404, "NOT_FOUND"),
        (LIST, 401, "AUTH_REQUIRED"),
    ] {
        world.anonymous(path).await.assert_error(status, code);
    }
    for (method, path) in [(Method::PATCH, LIST), (Method::POST, "/openapi.json")] {
        let answer = user.send_with(method, path, &[], Some(String::new())).await;
        answer.assert_error(405, "METHOD_NOT_ALLOWED");
    }
    let malformed = user.get("/v1/tradings/no-uuid").await;
    malformed.assert_error(400, "INVALID_VALUE");
}

#[tokio::test]
async fn faults_of_a_body_get_the_envelope() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let post = async |headers: &[(&str, &str)], body: &str| {
        let body = Some(body.to_owned());
        user.send_with(Method::POST, LIST, headers, body).await
    };

    for headers in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "nonsense")],
    ] {
        let answer = post(headers, "{}").await;
        answer.assert_error(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    for malformed in [
        "",
        "{",
        "nonsense",
        r#"{"name": "\ud800"}"#,
        "{} {}",
        r#"{"name":}"#,
        "[]",
    ] {
        let answer = post(&[JSON], malformed).await;
        answer.assert_error(400, "INVALID_REQUEST");
    }
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(256 * 1024));
    let answer = post(&[JSON], &large).await;
    answer.assert_error(413, "BODY_TOO_LARGE");
}

#[tokio::test]
async fn a_wrong_method_gets_the_allowed_methods() {
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
        answer.assert_error(405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.header("allow"), allowed, "{path}");
    }
}

#[tokio::test]
async fn http_1_1_requires_one_host() {
    let world = World::start().await;

    for (head, status) in [
        ("GET / HTTP/1.1\r\n", "HTTP/1.1 400"),
        ("GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n", "HTTP/1.1 400"),
        ("GET / HTTP/1.1\r\nhost: x\r\n", "HTTP/1.1 200"),
        ("GET / HTTP/1.0\r\n", "HTTP/1.0 200"),
    ] {
        let mut stream = TcpStream::connect(world.address).await.expect("connected");
        let request = format!("{head}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");

        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(String::from_utf8_lossy(&answer), status, "{head}");
    }
}

#[tokio::test]
async fn rejects_a_chunked_body_at_the_limit() {
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
async fn the_trace_id_comes_from_the_caller_or_is_new() {
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
async fn unchanged_data_gets_304() {
    let world = World::start().await;
    let user = world.user("ann").await;
    user.book("grid", "1", "1").await;

    for path in [
        LIST,
        "/v1/sub-accounts",
        "/v1/transactions?limit=1",
        "/v1/users/me",
    ] {
        let first = user.get(path).await;
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.len() > 10, "strong: {tag}");
        assert_eq!(first.header("cache-control"), "private, no-cache");
        // The tag does not cover the metadata, which differs.
        assert_eq!(user.get(path).await.header("etag"), tag);

        for known in [&tag, &format!("\"x\", {tag}"), &format!("W/{tag}"), "*"] {
            let again = user.get_with(path, &[("if-none-match", known)]).await;
            again.assert_status(304);
            assert_eq!(again.text, "");
            assert_eq!(again.header("etag"), tag);
        }

        let unknown = ("if-none-match", "\"x\"");
        user.get_with(path, &[unknown]).await.assert_status(200);
        let two_lines = [unknown, ("if-none-match", tag.as_str())];
        user.get_with(path, &two_lines).await.assert_status(304);
    }
}

#[tokio::test]
async fn changed_data_has_another_tag() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let tag = user.get(LIST).await.header("etag").to_owned();

    let created = user
        .post(LIST, json!({"name": "new", "type": "paper"}))
        .await;

    created.assert_not_cached();
    let changed = user.get_with(LIST, &[("if-none-match", &tag)]).await;
    changed.assert_status(200);
}

/// Sends the preflight request of a POST from a page of this origin.
async fn preflight(world: &World, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
    ];
    world.ask(Method::OPTIONS, LIST, &headers, None).await
}

#[tokio::test]
async fn only_pages_of_known_origins_may_read() {
    let world = World::start().await;

    for (origin, allowed) in [
        ("https://tiris.ai", "https://tiris.ai"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("https://evil.example", ""),
    ] {
        let answer = preflight(&world, origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
    }

    let known = preflight(&world, "https://tiris.ai").await;
    assert_eq!(known.header("access-control-max-age"), "7200");
    let headers = known.header("access-control-allow-headers");
    assert!(headers.contains("Idempotency-Key"), "{headers}");
    let methods = known.header("access-control-allow-methods");
    assert!(methods.contains("DELETE"), "{methods}");
}

#[tokio::test]
async fn a_page_may_read_an_error() {
    let world = World::start().await;
    let origin = [("origin", "https://tiris.ai")];

    let failure = world.ask(Method::GET, LIST, &origin, None).await;

    failure.assert_error(401, "AUTH_REQUIRED");
    let allowed = failure.header("access-control-allow-origin");
    assert_eq!(allowed, "https://tiris.ai");
    let exposed = failure.header("access-control-expose-headers");
    assert!(exposed.contains("X-Request-ID"), "{exposed}");
    assert_eq!(failure.header("vary"), "Origin");
}

#[tokio::test]
async fn answers_have_security_headers() {
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
async fn the_root_links_to_the_public_paths() {
    let world = World::start().await;

    let root = world.anonymous("/").await;

    assert_eq!(root.data()["name"], "Tiris API");
    for path in root.data()["links"].as_object().expect("links").values() {
        let answer = world.anonymous(&text(path)).await;
        answer.assert_status(200);
    }
}

#[tokio::test]
async fn the_probes_report_every_check() {
    let world = World::start().await;

    let live = world.anonymous("/health/live").await;
    let ready = world.anonymous("/health/ready").await;

    assert_eq!(live.data(), &json!({"live": true}));
    let notes = [
        "database: reachable and migrated",
        "nats: not configured; live streams poll the database instead",
        "sign_in: no provider is offered: set TIRIS_PROVIDERS",
    ];
    let checks = ["database", "nats", "sign_in"];
    assert_eq!(
        ready.data(),
        &json!({"ready": true, "checks": checks, "notes": notes})
    );
}
