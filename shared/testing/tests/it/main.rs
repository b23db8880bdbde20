//! The harness tries itself, on real servers.

mod harness;
