//! Integration tests of the store, on a real server.

mod auditor;
mod bots;
mod dead_letters;
mod detours;
mod executions;
mod lease_model;
mod ledger;
mod newer_version;
mod orders;
mod schema;
mod world;
