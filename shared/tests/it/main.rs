//! Integration tests of the shared crate, on real servers.

mod auditor;
mod dev_stack;
mod harness;
mod ledger;
mod schema;
mod world;
