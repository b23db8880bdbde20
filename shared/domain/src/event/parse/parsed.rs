//! What the fields of one kind of event become.

use crate::event::body::Body;

/// The body of an event, and the words of its log.
pub(super) struct Parsed {
    pub(super) body: Body,
    pub(super) message: String,
}
