//! Who is calling: keys, access tokens, sessions, and the scheme operations ask for.

pub mod keys;
pub mod token;

mod admin;
mod caller;
pub(crate) mod provider;
pub(crate) mod secret;
pub(crate) mod session;

pub(crate) use admin::Admin;
pub(crate) use caller::{Caller, anonymous};
