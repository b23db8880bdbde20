//! The private listener of both services: health and metrics, for operators and orchestrators.

use crate::health::Health;
use crate::metrics::Metrics;
use poem::http::StatusCode;
use poem::listener::TcpAcceptor;
use poem::web::{Data, Json};
use poem::{EndpointExt, IntoEndpoint, Route, Server, get, handler};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the checks run without a request, so that their metrics stay current.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

#[handler]
fn live_probe() -> Json<Value> {
    success(json!({"live": true}))
}

#[handler]
async fn ready_probe(health: Data<&Health>) -> (StatusCode, Json<Value>) {
    let report = health.run().await;
    if report.is_ready() {
        let data = json!({"ready": true, "checks": report.checks()});
        return (StatusCode::OK, success(data));
    }

    let failing: Vec<String> = report
        .failing()
        .map(|(name, why)| format!("{name} ({why:?})"))
        .collect();

    let metadata = metadata();
    let error = json!({
        "code": "SERVICE_UNAVAILABLE",
        "message": format!("not ready: {}", failing.join(", ")),
        "details": report.checks(),
        "trace_id": metadata["trace_id"],
        "timestamp": metadata["timestamp"],
    });
    let body = json!({"success": false, "error": error, "metadata": metadata});
    (StatusCode::SERVICE_UNAVAILABLE, Json(body))
}

/// Answers 200 also when the process is not ready: it is for operators, not for probes.
#[handler]
async fn detail(health: Data<&Health>) -> Json<Value> {
    let report = health.run().await;
    let version = env!("CARGO_PKG_VERSION");
    success(json!({"ready": report.is_ready(), "version": version, "parts": report.found}))
}

#[handler]
fn render_metrics(metrics: Data<&Metrics>) -> String {
    metrics.render()
}

/// Wraps `data` in the envelope of the API, so that clients read both listeners alike.
fn success(data: Value) -> Json<Value> {
    Json(json!({"success": true, "data": data, "metadata": metadata()}))
}

fn metadata() -> Value {
    json!({"timestamp": chrono::Utc::now(), "trace_id": tiris_domain::ids::new_id()})
}

/// Binds `address`; returns the listener with its actual address.
pub async fn bind(address: SocketAddr) -> std::io::Result<(TcpAcceptor, SocketAddr)> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((TcpAcceptor::from_tokio(listener)?, bound))
}

/// Binds `address` and serves until `stop`; returns the actual address.
pub async fn serve(
    address: SocketAddr,
    health: Health,
    metrics: Metrics,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let (acceptor, bound) = bind(address).await?;

    let checks = check_regularly(health.clone());
    tokio::spawn(stop.clone().run_until_cancelled_owned(checks));
    let app = Route::new()
        .at("/health", get(detail))
        .at("/health/live", get(live_probe))
        .at("/health/ready", get(ready_probe))
        .at("/metrics", get(render_metrics))
        .data(health)
        .data(metrics)
        .into_endpoint();

    tokio::spawn(async move {
        let served = Server::new_with_acceptor(acceptor)
            .run_with_graceful_shutdown(app, stop.cancelled_owned(), None)
            .await;
        if let Err(error) = served {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the admin listener stopped");
        }
    });

    Ok(bound)
}

async fn check_regularly(health: Health) {
    let mut ticks = tokio::time::interval(CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        health.run().await;
    }
}
