//! The values of requests and events: each type owns its limit, its parsing and its schema.

mod amount;
mod define;
mod event_id;
mod flag;
mod info;
mod invalid;
mod moment;
mod money;
pub(crate) mod newtype;
mod profile;
mod schema;
mod seconds;
mod text;
mod words;

pub use amount::{Amount, Figure};
pub use define::Value;
pub use event_id::EventId;
pub use info::{INFO_BYTES_MAX, Info};
pub use invalid::{FREE_JSON, Invalid, InvalidKind};
pub use moment::Moment;
pub use profile::{Avatar, FULL_NAME_CHARS_MAX, FullName, Username};
pub use schema::{Schema, SchemaKind};
pub use seconds::Seconds;
pub use text::{Component, Name, Reason, Text};
pub use words::{Message, StackTrace, Words};

pub(crate) use text::string;
