//! JetStream: declares the streams and reads them.

mod declare;
mod direct_get;
mod identity;
mod inspect;
mod message;
mod reader;
pub mod subjects;
mod unavailable;

pub use declare::{DeclareError, MESSAGE_BYTES_MAX, declare};
pub use direct_get::{first_from, message_at};
pub use identity::{Mismatch, Position, Remedy, StreamState, judge};
pub use inspect::{fingerprint_at, state_of};
pub use message::{Headers, Message};
pub use reader::{BatchLimits, Range, Reader};
pub use unavailable::unavailable;
