//! What the commands of the binary do.

pub mod openapi;
pub mod secrets;
pub mod serve;
pub mod token;
