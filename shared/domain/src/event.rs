//! The wire format of the bots' events: subjects, payloads, and the commands they become.
//!
//! Owns: parsing at the edge into types that cannot be wrong, and the canonical form that tells whether two events
//! with one id are the same. Must not know: streams, SQL, what the ledger decides.

mod body;
mod content;
mod fields;
mod kind;
mod malformed;
mod parse;
mod subject;

pub use crate::states::BareSubjects;
pub use body::{BalanceChange, Body, Event, Fill, Heartbeat, Order};
pub use kind::Kind;
pub use malformed::{EVENT_BYTES_MAX, Malformed, MalformedKind};
pub use parse::parse;
pub use subject::Subject;

#[cfg(test)]
mod tests;
