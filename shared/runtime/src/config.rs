//! Settings both binaries share, from command line or environment; `--help` is their manual.
//!
//! Owns: how settings are read, checked all at once and kept secret. Must not know: what a binary does with them.
//! Values reach us as text and are checked here rather than by the argument parser, which stops at the first mistake.

mod database;
mod environment;
mod nats;
mod problems;
mod secret_text;
mod service;
mod traces;
mod wire;

pub use database::{DatabaseArgs, DatabaseConfig, check_database_url};
pub use environment::Environment;
pub use nats::{NatsArgs, NatsConfig, OptionalNatsArgs};
pub use problems::{ConfigError, Problems, entries};
pub use secret_text::SecretText;
pub use service::{LogConfig, ServiceArgs, ServiceConfig};
pub use traces::{TracesArgs, TracesConfig};
pub use wire::is_loopback;

#[cfg(test)]
mod tests;
