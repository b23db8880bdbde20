//! The pure domain of Tiris Backend: ids, exact money, the ledger, the wire format of events, and performance.
//!
//! Must not know: SQL, HTTP, NATS, the clock. The compiler enforces it: this crate depends on none of their libraries.

pub mod event;
pub mod ids;
pub mod json;
pub mod lane;
pub mod ledger;
pub mod money;
pub mod performance;
pub mod states;
mod text_enum;
pub mod value;
