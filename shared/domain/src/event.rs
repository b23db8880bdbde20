//! The wire format of the bots' events: subjects, payloads, and the commands they become.
//!
//! Owns: parsing at the edge into types that cannot be wrong, and the canonical form that tells whether two events
//! with one id are the same. Must not know: streams, SQL, what the ledger decides.

mod body;
mod fields;
mod malformed;
mod parse;
mod subject;

pub use body::{BalanceChange, Body, Event, Fill, Heartbeat, Order};
pub use malformed::{EVENT_BYTES_MAX, Malformed, MalformedKind};
pub use parse::parse;
pub use subject::{BareSubjects, Kind, Subject};

#[cfg(test)]
mod tests;
