//! Who is calling: keys, access tokens, sessions, and the scheme operations ask for.

pub mod keys;
pub mod token;

mod caller;
pub(crate) mod session;

pub(crate) use caller::Caller;
