//! The scenarios, one a file.

mod client;
pub(crate) mod faults;
pub(crate) mod restore;
pub(crate) mod rolling;
pub(crate) mod scale;
pub(crate) mod trouble;
