//! The scenarios, one per file.

mod client;
pub(crate) mod faults;
pub(crate) mod noisy;
pub(crate) mod restore;
pub(crate) mod rolling;
pub(crate) mod scale;
pub(crate) mod trouble;
