//! What both binaries of Tiris Backend share.

pub mod admin;
pub mod config;
pub mod crypto;
pub mod database;
pub mod entity;
pub mod error;
pub mod event;
pub mod health;
pub mod ids;
pub mod json;
pub mod ledger;
pub mod metrics;
pub mod money;
pub mod nats;
pub mod performance;
pub mod private_file;
pub mod probe;
pub mod shutdown;
pub mod store;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;
pub mod trace;
