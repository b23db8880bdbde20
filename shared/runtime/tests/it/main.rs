//! Integration tests of the runtime crate.

mod database;
mod metrics;
