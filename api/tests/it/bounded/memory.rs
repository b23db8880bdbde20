//! The memory of the process while many clients request the largest answers at once.

use super::LARGE_ROWS;
use crate::service::Service;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

/// Connections that request at once.
const CLIENTS: usize = 32;
/// The highest peak, in KiB.
const PEAK_KIB_MAX: u64 = 150 * 1024;
/// Time limit of a request.
const REQUEST_MAX: Duration = Duration::from_secs(120);
/// Rows of 60 KiB in each history.
const ROWS: i32 = 150;

/// Returns the peak of the resident memory, in KiB.
fn peak(service: &Service) -> u64 {
    let path = format!("/proc/{}/status", service.process.pid());
    let status = std::fs::read_to_string(path).expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words = line.expect("a peak").split_whitespace().nth(1);
    words.expect("a number").parse().expect("a number")
}

async fn get(service: &Service, token: &str, path: &str, accept: &str) -> (u16, usize) {
    let answer = service
        .http
        .get(format!("{}{path}", service.api))
        .bearer_auth(token)
        .header("accept", accept)
        .timeout(REQUEST_MAX)
        .send()
        .await
        .expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.bytes().await.map_or(0, |body| body.len()))
}

/// Creates an account with large rows, and dead letters with payloads; returns the paths of the largest answers.
async fn largest(service: &Service, token: &str) -> Vec<String> {
    let created: Value = service
        .http
        .post(format!("{}/v1/tradings", service.api))
        .bearer_auth(token)
        .json(&json!({"name": "grid", "type": "paper", "sub_accounts": [{"name": "a", "symbol": "ETH"}]}))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let trading = created["data"]["id"].as_str().expect("an id");
    let pool = service.database.pool();
    let account: uuid::Uuid =
        sqlx::query_scalar("SELECT id FROM sub_accounts WHERE trading_id = $1::uuid")
            .bind(trading)
            .fetch_one(pool)
            .await
            .expect("an account");
    sqlx::query(LARGE_ROWS)
        .bind(account.to_string())
        .bind(ROWS)
        .execute(pool)
        .await
        .expect("large rows");

    vec![
        "/v1/transactions?limit=1000".to_owned(),
        "/v1/trading-logs?limit=1000".to_owned(),
        format!("/v1/trading-logs/trading/{trading}?limit=1000&offset=1"),
        format!("/v1/tradings/{trading}/performance?quote=ETH"),
        format!("/v1/tradings/{trading}/equity?interval=hour&quote=ETH"),
        format!("/v1/sub-accounts/{account}/history?interval=hour"),
    ]
}

#[tokio::test]
async fn the_largest_answers_at_once_fit_into_memory() {
    // Unoptimized, the answers take long: nothing but memory is tested here.
    let service = Service::start(&[
        ("TIRIS_DATABASE_ACQUIRE_SECONDS", "60"),
        ("TIRIS_REQUEST_SECONDS", "120"),
    ])
    .await;
    let token = service.token(&["--email", "ann@example.com", "--admin"]);
    let token = token.output();
    let paths = largest(&service, token).await;

    for accept in ["application/json", "text/csv"] {
        let requests =
            (0..CLIENTS).map(|at| get(&service, token, &paths[at % paths.len()], accept));
        let answers = join_all(requests).await;

        let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
        let expected = statuses.iter().all(|status| [200, 429].contains(status));
        assert!(expected, "{statuses:?}");
        let large = answers.iter().filter(|(_, bytes)| *bytes > 3 * 1024 * 1024);
        assert!(large.count() > 1, "the answers are large: {answers:?}");
    }

    let lists = (0..CLIENTS).map(|_| get(&service, token, &paths[0], "application/json"));
    let answers = join_all(lists).await;
    assert!(
        answers.iter().all(|(status, _)| *status == 200),
        "{answers:?}"
    );

    let peak = peak(&service);
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
}
