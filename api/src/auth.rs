//! Authentication: keys, access tokens, sessions, identity providers, and the extractors that check the caller.

pub mod keys;
pub mod token;

mod caller;
pub(crate) mod provider;
mod reading;
pub(crate) mod rotating;
pub(crate) mod secret;
pub(crate) mod session;

pub(crate) use caller::{Anyone, Caller, anonymous};
