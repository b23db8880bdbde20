//! The commands of the binary.

pub mod admin;
pub mod keys;
pub mod openapi;
pub mod secrets;
pub mod serve;
pub mod token;

mod tool;
