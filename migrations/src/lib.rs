//! The schema of the database: applying it, reverting it, proving what stands in it.
//!
//! Owns: the SQL of every migration and the checks of `tiris-migrate`. Must not know: the domain crates, which test
//! themselves on databases made here.
//!
//! Every function takes a database address and opens connections of its own; it must be a direct address, because
//! a pooler that shares server sessions between clients breaks the lock that keeps two migrations apart.

mod after_restore;
mod connect;
mod explain;
mod history;
mod lock;
mod migrator;
mod run;
mod verify;

pub use after_restore::{Restored, after_restore};
pub use connect::{describe, wait_until_ready};
pub use explain::{hint, words};
pub use history::{HistoryKind, convert_history, history};
pub use migrator::{LATEST, Migrator, fingerprint};
pub use run::{MigrationState, down, status, up};
pub use verify::report::{Kind, Report, Tally};
pub use verify::verify;
