//! What every process of Tiris Backend needs: settings, logs, traces, metrics, health, secrets at rest, the
//! connections to PostgreSQL and NATS, and an orderly shutdown.
//!
//! Must not know: tables, routes, events.

pub mod admin;
pub mod config;
pub mod crypto;
pub mod database;
mod explain;
pub mod health;
pub mod metrics;
pub mod nats;
pub mod private_file;
pub mod probe;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod trace;

pub use explain::explain;
