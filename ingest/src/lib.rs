//! The event worker of Tiris Backend: turns events in NATS JetStream into balances, exactly once and in order.
//!
//! Start with [`lane`]: a lane reads its part of a stream and commits each batch together with its position.

pub mod cli;
pub mod connection;
pub mod context;
pub mod dead_letters;
pub mod failure;
pub mod lane;
pub mod lanes;
pub mod plan;
pub mod replay;
pub mod settings;
pub mod status;
pub mod stream;
pub mod transaction;
pub mod upkeep;
pub mod worker;
