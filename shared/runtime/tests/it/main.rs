//! Integration tests of the runtime crate.

mod metrics;
