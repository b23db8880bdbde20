//! Integration tests of the shared crate, on real servers.

mod auditor;
mod harness;
mod ledger;
mod schema;
mod world;
