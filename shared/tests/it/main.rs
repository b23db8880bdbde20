//! Integration tests of the shared crate, on real servers.

mod harness;
