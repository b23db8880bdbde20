//! The scenarios, one per file.

mod client;
pub(crate) mod failover;
pub(crate) mod faults;
pub(crate) mod noisy;
mod requests;
pub(crate) mod restore;
pub(crate) mod rolling;
pub(crate) mod rollout;
pub(crate) mod scale;
mod servers;
pub(crate) mod soak;
pub(crate) mod trouble;
