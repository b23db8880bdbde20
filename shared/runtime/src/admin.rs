//! The private listener of both binaries: health and metrics, for operators and for what looks after processes.
//!
//! Owns: the routes and their answers. Must not know: what makes a binary ready; it asks the given health.

use crate::health::Health;
use crate::metrics::Metrics;
use poem::http::StatusCode;
use poem::listener::{Acceptor, Listener, TcpAcceptor, TcpListener};
use poem::web::{Data, Json};
use poem::{EndpointExt, IntoEndpoint, Route, Server, get, handler};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often everything is checked when nobody asks, so that the metrics tell how it is.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

#[handler]
fn live_probe() -> Json<serde_json::Value> {
    envelope("data", json!({"live": true}))
}

#[handler]
async fn ready_probe(health: Data<&Health>) -> (StatusCode, Json<serde_json::Value>) {
    let report = health.run().await;
    if report.is_ready() {
        let data = json!({"ready": true, "checks": report.checks()});
        return (StatusCode::OK, envelope("data", data));
    }

    let failing: Vec<String> = report
        .failing()
        .map(|(name, why)| format!("{name} ({why:?})"))
        .collect();

    let error = json!({
        "code": "SERVICE_UNAVAILABLE",
        "message": format!("not ready: {}", failing.join(", ")),
        "details": report.checks(),
    });
    (StatusCode::SERVICE_UNAVAILABLE, envelope("error", error))
}

/// 200 whatever it tells: it is for people.
#[handler]
async fn detail(health: Data<&Health>) -> Json<serde_json::Value> {
    envelope("data", health.detail().await)
}

/// The form of every answer of the API, so that one reader understands both listeners.
fn envelope(part: &str, mut body: serde_json::Value) -> Json<serde_json::Value> {
    let metadata =
        json!({"timestamp": chrono::Utc::now(), "trace_id": tiris_domain::ids::new_id()});
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

/// Binds `address`; returns also the address that was bound.
pub async fn bind(address: SocketAddr) -> std::io::Result<(TcpAcceptor, SocketAddr)> {
    let acceptor = TcpListener::bind(address).into_acceptor().await?;
    let bound = acceptor.local_addr();
    let bound = bound
        .first()
        .and_then(|local| local.as_socket_addr().copied());
    Ok((acceptor, bound.unwrap_or(address)))
}

/// Binds `address` and serves until `stop`; returns the address that was bound.
pub async fn serve(
    address: SocketAddr,
    health: Health,
    metrics: Metrics,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let (acceptor, bound) = bind(address).await?;

    tokio::spawn(look_after(health.clone(), stop.clone()));
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

async fn look_after(health: Health, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let looking = async {
        loop {
            ticks.tick().await;
            health.run().await;
        }
    };
    stop.run_until_cancelled(looking).await;
}
