//! The private listener of both binaries: liveness, readiness and metrics.
//!
//! Owns: the three routes and their answers. Must not know: what makes a binary ready; it asks the given checks.

use crate::metrics::Metrics;
use poem::http::StatusCode;
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::web::{Data, Json};
use poem::{EndpointExt, IntoEndpoint, Route, Server, get, handler};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A check that takes longer has failed: a part that hangs answers as little as one that is down.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// What a check found: `Ok` with a note, or why the process cannot do its work now.
pub type CheckResult = Result<String, String>;
type CheckFn = dyn Fn() -> Pin<Box<dyn Future<Output = CheckResult> + Send>> + Send + Sync;

/// The named checks behind `/health/ready`.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: BTreeMap<&'static str, Arc<CheckFn>>,
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.checks.keys()).finish()
    }
}

impl Readiness {
    /// Adds a check under `name`.
    #[must_use]
    pub fn with<F, Fut>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = CheckResult> + Send + 'static,
    {
        self.checks.insert(name, Arc::new(move || Box::pin(check())));
        self
    }

    /// Runs all checks; ready when none failed.
    pub async fn run(&self) -> (bool, BTreeMap<&'static str, CheckResult>) {
        let mut results = BTreeMap::new();
        for (name, check) in &self.checks {
            let checked = tokio::time::timeout(CHECK_LIMIT, check()).await;
            let late = || Err(format!("no answer within {} s", CHECK_LIMIT.as_secs()));
            results.insert(*name, checked.unwrap_or_else(|_| late()));
        }
        (results.values().all(Result::is_ok), results)
    }

    /// Checks and their results as a JSON object: `{"ready":bool,"checks":{name:{"ok":bool,"detail":text}}}`.
    pub async fn report(&self) -> (bool, serde_json::Value) {
        let (ready, results) = self.run().await;
        let checks: serde_json::Map<String, serde_json::Value> = results
            .into_iter()
            .map(|(name, result)| {
                let (ok, detail) = match result {
                    Ok(detail) => (true, detail),
                    Err(detail) => (false, detail),
                };
                (name.to_owned(), json!({"ok": ok, "detail": detail}))
            })
            .collect();
        (ready, json!({"ready": ready, "checks": checks}))
    }
}

#[handler]
fn live_probe() -> Json<serde_json::Value> {
    envelope("data", json!({"live": true}))
}

#[handler]
async fn ready_probe(readiness: Data<&Readiness>) -> (StatusCode, Json<serde_json::Value>) {
    let (ready, report) = readiness.report().await;
    if ready {
        return (StatusCode::OK, envelope("data", report));
    }
    let error = json!({
        "code": "SERVICE_UNAVAILABLE",
        "message": format!("not ready: {}", failing(&report).join(", ")),
        "details": report["checks"],
    });
    (StatusCode::SERVICE_UNAVAILABLE, envelope("error", error))
}

fn failing(report: &serde_json::Value) -> Vec<String> {
    let checks = report["checks"].as_object().into_iter().flatten();
    checks
        .filter(|(_, check)| check["ok"] == false)
        .map(|(name, check)| format!("{name} ({})", check["detail"]))
        .collect()
}

/// The form of every answer of the API, so that one reader understands both listeners.
fn envelope(part: &str, mut body: serde_json::Value) -> Json<serde_json::Value> {
    let metadata = json!({"timestamp": chrono::Utc::now(), "trace_id": crate::ids::new_id()});
    if part == "error" {
        body["trace_id"] = metadata["trace_id"].clone();
        body["timestamp"] = metadata["timestamp"].clone();
    }
    Json(json!({"success": part == "data", part: body, "metadata": metadata}))
}

#[handler]
fn render_metrics(metrics: Data<&Metrics>) -> String {
    metrics.render()
}

/// Binds `address` and serves until `stop`; returns the address that was bound.
pub async fn serve(
    address: SocketAddr,
    readiness: Readiness,
    metrics: Metrics,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let acceptor = TcpListener::bind(address).into_acceptor().await?;
    let bound =
        acceptor.local_addr().first().and_then(|local| local.as_socket_addr().copied()).unwrap_or(address);
    let app = Route::new()
        .at("/health/live", get(live_probe))
        .at("/health/ready", get(ready_probe))
        .at("/metrics", get(render_metrics))
        .data(readiness)
        .data(metrics)
        .into_endpoint();
    tokio::spawn(async move {
        let server = Server::new_with_acceptor(acceptor);
        if let Err(error) = server.run_with_graceful_shutdown(app, stop.cancelled_owned(), None).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the admin listener stopped");
        }
    });
    Ok(bound)
}
