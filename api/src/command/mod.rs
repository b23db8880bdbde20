//! What the commands of the binary do.

pub mod openapi;
pub mod serve;
pub mod token;
