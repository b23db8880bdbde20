//! The pure ledger: what every command does to accounts, and why it may be refused.
//!
//! Owns: the meaning of money in this system. [`apply`] is total: no clock, no I/O, no floats, no panic. It reads a
//! [`Book`] and answers with an [`Effect`] or a [`Rejection`]; only [`Book::commit`] changes the book, so a rejection
//! leaves everything as it was. Must not know: SQL, HTTP, NATS, JSON.
//!
//! The commands and their rules are those of the event contract; REST uses the same commands.

mod account;
mod book;
mod command;
mod decide;
mod draft;
mod effect;
mod names;
mod rejection;
mod settle;

pub use crate::states::{Direction, Side};
pub use account::Account;
pub use book::Book;
pub use command::{Belief, Command, Movement, Trade};
pub use decide::{apply, check};
pub use effect::{Drift, Effect, HoldChange, Posting};
pub use names::{Asset, ORDER_ID_LENGTH_MAX, OrderId, Pair};
pub use rejection::Rejection;

#[cfg(test)]
mod tests;
