//! The event worker of Tiris Backend: from NATS JetStream to balances, exactly once and in order.
//!
//! A lane reads its part of a stream and commits each batch together with its position: see [`lane`] first.

pub mod blame;
pub mod census;
pub mod cli;
pub mod command;
pub mod connection;
pub mod context;
pub mod crew;
pub mod dead_letter_stream;
pub mod identity;
pub mod intake;
pub mod lane;
pub mod maintenance;
pub mod plan;
pub mod purge;
pub mod reader;
pub mod replay;
pub mod settings;
pub mod share;
pub mod single;
pub mod status;
pub mod stream;
pub mod worker;
