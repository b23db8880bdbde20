//! The load: users, their messages, and publishing them. A seed determines every byte.

mod book;
pub(crate) mod event;
pub(crate) mod late;
pub(crate) mod noise;
mod poison;
pub(crate) mod publish;
pub(crate) mod script;
pub(crate) mod users;
