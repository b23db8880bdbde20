//! The event worker of Tiris Backend: turns events in NATS JetStream into balances, exactly once and in order.
//!
//! Start with [`lane`]: a lane reads its part of a stream and commits each batch together with its position.

pub mod cli;
pub mod connection;
pub mod context;
pub mod dead_letters;
pub mod lane;
pub mod replay;
pub mod settings;
pub mod status;
pub mod stream;
pub mod upkeep;

mod failure;
mod lanes;
mod plan;
mod transaction;
mod worker;
