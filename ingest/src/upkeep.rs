//! Work beside the lanes, in the rhythm of a clock.

pub mod census;
pub mod maintenance;
pub mod purge;
