//! Dead letters: messages that could not be applied, kept with their original bytes, the reason and a way on.
//!
//! Owns: what a letter says, its writing, the lane's own retries in order, replay and discard by a person. A letter is
//! locked before anything becomes of it, and its end and its effect commit together.

mod effect;
mod filter;
mod insert;
mod publish;
mod queue;
mod read;
mod rehome;
mod replay;
mod replay_many;
mod resolve;
mod retry;

pub use effect::{AccountChange, Replay, ReplayOptions};
pub use filter::{Filter, count_open};
pub use insert::{NewLetter, insert};
pub use publish::{ClassCount, count_by_class, mark_published, unpublished};
pub use queue::{QueuedLetter, due, first_of, oldest_blocking, waiting_keys};
pub use read::{Letter, get, list};
pub use rehome::rehome;
pub use replay::replay;
pub use replay_many::{Summary, rehearse_all, replay_all, replay_some};
pub use resolve::{Actor, close_applied, discard, discard_all, discarded_of, lock_open_of};
pub use retry::{Retried, give_up, retry, retry_listed};
