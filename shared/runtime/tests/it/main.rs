//! Integration tests of what every process needs.

mod metrics;
