//! The pure ledger: the effect of every command on accounts, and the reasons to reject it.
//!
//! [`apply`] is total: no clock, no I/O, no floats, no panic. It reads a [`Book`] and returns an [`Effect`] or a
//! [`Rejected`]; only [`Book::commit`] changes the book, so a rejection leaves it unchanged. Events and REST use the
//! same commands. Must not know: SQL, HTTP, NATS, JSON.

mod account;
mod book;
mod command;
mod decide;
mod draft;
mod effect;
mod names;
mod order;
mod rejected;
mod rejection;
mod settle;

pub use crate::states::{Direction, Side};
pub use account::{Account, Held, HoldKey};
pub use book::Book;
pub use command::{
    Belief, Command, FEES_MAX, Fee, Hold, Lock, Movement, OrderEvent, Release, Trade,
};
pub use decide::{apply, check};
pub use effect::{Drift, Effect, HoldChange, Posting};
pub use names::{Asset, OrderId, Pair};
pub use order::{Order, OrderKey, OrderStep, OrderTerms, says_filled};
pub use rejected::{Details, Rejected};
pub use rejection::Rejection;

#[cfg(test)]
mod tests;
