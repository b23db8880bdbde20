//! Integration tests of the store, on a real server.

mod auditor;
mod bots;
mod lease_model;
mod ledger;
mod schema;
mod world;
