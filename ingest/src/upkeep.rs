//! Periodic work beside the lanes.

pub(crate) mod census;
pub mod expiry;
pub mod maintenance;
pub mod purge;
pub(crate) mod sampling;
pub(crate) mod usage;
