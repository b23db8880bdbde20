//! Events: how they come in, those that could not be applied, and ranges that are read again.

mod dead_letters;
mod effect;
mod letter;
mod replays;
mod selection;
mod status;

pub(crate) use dead_letters::DeadLetters;
pub(crate) use replays::Replays;
pub(crate) use status::EventStatus;
