//! Settings of both services, from the command line or the environment; `--help` is their manual.
//!
//! Arguments arrive as text and are checked here instead of by clap, which would stop at the first mistake.

mod database;
mod environment;
mod nats;
mod problems;
mod service;

pub use database::{DatabaseArgs, DatabaseConfig, check_database_url};
pub use environment::{Environment, is_loopback};
pub use nats::{NatsArgs, NatsConfig};
pub use problems::{ConfigError, Problems, entries};
pub use service::{LogConfig, ServiceArgs, ServiceConfig};

#[cfg(test)]
mod tests;
