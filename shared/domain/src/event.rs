//! The wire format of the bots' events: subjects, payloads, and the ledger commands that they request.
//!
//! Owns: parsing into types that are valid by construction, and the hash by which events with one id are compared.
//! Must not know: streams, SQL, the decisions of the ledger.

mod body;
mod content;
mod extent;
mod fields;
mod kind;
mod malformed;
mod parse;

pub use crate::states::BareSubjects;
pub use body::{BalanceChange, Body, Event, Fill, Heartbeat, Order};
pub use extent::{FREE_BYTES_MAX, FREE_KEYS_MAX, LEFT_OUT};
pub use kind::{Kind, Subject};
pub use malformed::{EVENT_BYTES_MAX, Malformed, MalformedKind};
pub use parse::parse;

#[cfg(test)]
mod tests;
