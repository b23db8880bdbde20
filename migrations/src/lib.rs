//! The database schema of Tiris Backend: applies, reverts and verifies it.
//!
//! Owns: the SQL of every migration and the checks of `tiris-migrate`. Must not know: the domain crates, whose tests
//! use databases created here.
//!
//! Every function takes the address of a database and opens its own connections. It must be a direct address: a
//! connection pooler breaks the advisory lock that serializes migrations.

mod after_restore;
mod connect;
mod explain;
mod history;
mod lock;
mod migrator;
pub mod roles;
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
