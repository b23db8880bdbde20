//! The values of requests and events: each type owns its limits, its parsing and its schema.

mod info;
mod invalid;
mod moment;
mod name;
pub(crate) mod newtype;
mod number;
mod profile;
mod schema;
mod text;

pub use info::{INFO_BYTES_MAX, Info};
pub use invalid::{FREE_JSON, Invalid};
pub use moment::Moment;
pub use name::{FULL_NAME_CHARS_MAX, FullName, Name, Username};
pub use number::{Amount, Figure, Seconds};
pub use profile::Avatar;
pub use schema::{Schema, SchemaKind, Value};
pub use text::{Component, EventId, Label, Message, Reason, StackTrace, Text, Words};

pub(crate) use text::string;
