//! Dead letters: events that could not be applied. Users read their own; admins replay and discard.

mod discard;
mod discard_many;
mod effect;
mod get;
mod list;
mod object;
mod replay;
mod replay_many;
mod selection;
mod visible;

use super::operations;
use crate::http::policy::Refusal;
use discard::DiscardDeadLetter;
use discard_many::DiscardDeadLetters;
use get::GetDeadLetter;
use list::ListDeadLetters;
use replay::ReplayDeadLetter;
use replay_many::ReplayDeadLetters;
use visible::visible;

/// A letter that is closed cannot be closed again.
const NOT_OPEN: Refusal = (
    409,
    "`LETTER_NOT_OPEN`: the dead letter was replayed or discarded before",
);

operations!(
    ListDeadLetters,
    GetDeadLetter,
    ReplayDeadLetter,
    DiscardDeadLetter,
    ReplayDeadLetters,
    DiscardDeadLetters,
);
