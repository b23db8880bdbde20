//! The running service: tokens from the command line, metrics, logs and shutdown.

use crate::service::{Service, run};
use nix::sys::signal::Signal;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tiris_testing::eventually;

const ANN: [&str; 2] = ["--email", "ann@example.com"];
const LIMIT: Duration = Duration::from_secs(20);

impl Service {
    async fn get(&self, path: &str, token: &str, trace_id: &str) -> Response {
        self.http
            .get(format!("{}{path}", self.api))
            .bearer_auth(token)
            .header("x-request-id", trace_id)
            .send()
            .await
            .expect("an answer")
    }
}

#[tokio::test]
async fn a_token_from_the_command_line_works() {
    let service = Service::start(&[]).await;

    let plain = service.token(&ANN);
    let arguments = [
        "--email",
        "ANN@example.com",
        "--admin",
        "--json",
        "--ttl-hours",
        "1",
    ];
    let json = service.token(&arguments).json();

    let token = plain.output();

    assert_eq!(token.split('.').count(), 3, "only the token: {token}");
    assert_eq!(json["expires_in"], 3600);

    let me = service.get("/v1/users/me", token, "t").await;
    assert_eq!(me.status(), StatusCode::OK);

    let me: Value = me.json().await.expect("JSON");

    assert_eq!(me["data"]["id"], json["user_id"]);
    assert_eq!(me["data"]["username"], "ann");
    assert_eq!(me["data"]["role"], "admin");
}

#[tokio::test]
async fn a_token_for_another_address_creates_another_user() {
    let service = Service::start(&[]).await;

    let ann = service.token(&["--email", "ann@example.com", "--json"]);
    let namesake = service.token(&["--email", "ann@example.org", "--json"]);

    assert_ne!(ann.json()["user_id"], namesake.json()["user_id"]);
}

#[tokio::test]
async fn the_health_command_reports_the_service() {
    let mut service = Service::start(&[]).await;
    let port = service.admin_port;
    let listen = format!("0.0.0.0:{port}");
    let health = || run(&["health"], &[("TIRIS_ADMIN_LISTEN", listen.as_str())]);

    health().output();
    service.stop().await;
    let stopped = health();

    assert_eq!(stopped.code, Some(1));
    let unreachable = format!("no answer from http://127.0.0.1:{port}/health/ready");
    assert!(stopped.error().contains(&unreachable), "{}", stopped.stderr);
}

#[tokio::test]
async fn metrics_count_requests_and_measure_statements() {
    let service = Service::start(&[]).await;
    let created = service.token(&ANN);
    let token = created.output();
    let unknown = format!("/v1/sub-accounts/{}", uuid::Uuid::nil());

    service.get("/v1/users/me", token, "t").await;
    for _ in 0..2 {
        let answer = service.get(&unknown, token, "t").await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
    service.get("/v1/invented", token, "t").await;
    let metrics = service.metrics().await;

    // By an entity twice, and by SQL once for the session.
    for series in [
        r#"database_query_duration_seconds_count{statement="select sub_accounts"} 2"#,
        r#"database_query_duration_seconds_count{statement="select sessions"} 1"#,
        r#"http_requests_total{method="GET",path="/v1/users/me",status="200"} 1"#,
        r#"http_requests_total{method="GET",path="unmatched",status="404"} 1"#,
    ] {
        let found = metrics.lines().any(|line| line == series);
        assert!(found, "{series}: {metrics}");
    }
    assert!(
        metrics.contains("http_request_duration_seconds_bucket"),
        "{metrics}"
    );
    let public = service.get("/metrics", token, "t").await;
    assert_eq!(public.status(), StatusCode::NOT_FOUND);
}

/// Returns the log lines with a trace id.
fn traced(log: &str, trace_id: &str) -> Vec<Value> {
    log.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|line| line["trace_id"] == trace_id)
        .collect()
}

#[tokio::test]
async fn logs_each_request_in_one_line_without_secrets() {
    let mut service = Service::start(&[]).await;

    let created = service.token(&[&ANN[..], &["--json"]].concat()).json();
    let token = created["token"].as_str().expect("a token");
    let fine = "/v1/transactions?order_id=unlogged";
    service.get(fine, token, "mine-1").await;
    let wrong = "/v1/transactions?limit=no";
    service.get(wrong, token, "wrong-1").await;
    service.get("/v1/invented", token, "gone-1").await;
    let log = service.stop().await;

    let lines = traced(&log, "mine-1");

    assert_eq!(lines.len(), 1, "{log}");
    assert_eq!(lines[0]["user_id"], created["user_id"]);
    assert_eq!(lines[0]["metadata"]["path"], "/v1/transactions");

    for (id, level, code) in [
        ("wrong-1", "WARN", "INVALID_VALUE"),
        ("gone-1", "INFO", "NOT_FOUND"),
    ] {
        let lines = traced(&log, id);
        assert_eq!(lines.len(), 1, "{id}: {log}");
        assert_eq!(lines[0]["level"], level, "{log}");
        assert_eq!(lines[0]["metadata"]["code"], code, "{log}");
    }

    for secret in [token, "unlogged"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn a_stopping_service_is_unready_but_serves() {
    // Longer than the test, so that the service is still draining.
    let mut service = Service::start(&[("TIRIS_DRAIN_LEAD_SECONDS", "60")]).await;

    service.process.signal(Signal::SIGTERM).expect("signalled");

    for address in [&service.admin, &service.api] {
        let probe = format!("{address}/health/ready");
        eventually("no more ready", LIMIT, async || {
            let answer = service.http.get(&probe).send().await?;
            let status = answer.status();
            let text = answer.text().await?;
            anyhow::ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{text}");
            anyhow::ensure!(text.contains("shutdown"), "{text}");
            Ok(())
        })
        .await
        .expect("not ready");
    }
    let root = service.http.get(&service.api).send().await;
    assert_eq!(root.expect("an answer").status(), StatusCode::OK);
    service.process.kill().await.expect("killed");
}
