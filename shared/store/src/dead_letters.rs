//! Dead letters: messages that could not be applied, stored with their original bytes and the cause. Lanes retry
//! unresolved ones in order; admins and operators replay or discard the others. A dead letter is locked before it
//! changes, and its status commits together with its effect.

mod filter;
mod insert;
mod order;
mod queue;
mod read;
mod rehearse;
mod release;
mod replay;
mod replay_many;
mod resolve;
mod retry;

pub use filter::{Filter, count_open};
pub use insert::{NewLetter, insert};
pub use queue::{Due, QueuedLetter, due, first_of, oldest_blocking, rehome, waiting_keys};
pub use read::{
    ClassCount, Letter, OldestWaiting, RECENT, count_by_class, get, list, mark_published,
    oldest_waiting, unpublished,
};
pub use rehearse::{rehearse, rehearse_all, rehearse_one};
pub use release::release_malformed;
pub use replay::{AccountChange, Replay, ReplayOptions, replay};
pub use replay_many::{Summary, replay_all, replay_some};
pub use resolve::{Actor, close_applied, discard, discard_all, discarded_of, lock_open_of};
pub use retry::{Retried, give_up, retry, retry_listed};
