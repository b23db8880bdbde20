//! The infrastructure every process of Tiris Backend needs: settings, logs, traces, metrics, health, secrets at rest,
//! the connections to PostgreSQL and NATS, and an orderly shutdown.
//!
//! Must not know: tables, routes, events.

pub mod admin;
pub mod config;
pub mod crypto;
pub mod database;
pub mod dev_stack;
pub mod health;
pub mod metrics;
pub mod nats;
pub mod private_file;
pub mod probe;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod trace;

/// Formats an error and its causes on one line.
#[must_use]
pub fn explain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let messages: Vec<String> = causes.map(ToString::to_string).collect();
    messages.join(": ")
}
