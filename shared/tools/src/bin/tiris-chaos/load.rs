//! The load: who there is, what is published, and publishing it.
//!
//! Owns: that a seed determines every byte of it. Must not know: what is done to the system meanwhile.

mod book;
pub(crate) mod event;
pub(crate) mod late;
pub(crate) mod people;
mod poison;
pub(crate) mod publish;
pub(crate) mod script;
