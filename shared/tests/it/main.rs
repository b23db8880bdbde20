//! Integration tests of the shared crate, on real servers.

mod auditor;
mod bots;
mod dashboards;
mod dev_stack;
mod harness;
mod lease_model;
mod ledger;
mod metrics;
mod schema;
mod world;
