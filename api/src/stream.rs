//! The live stream: what is committed of a user, as it is committed.
//!
//! Owns: what all streams of a process share, and the parts of one: its position (`cursor`), what wakes it (`wake`),
//! what is new to it (`read`), and the loop around them (`follow`). Must not know: HTTP, how rows look.
//!
//! Messages only wake; what is sent is read from the database, so a lost message costs time and never a row. A row is
//! new when the transaction that wrote it was not visible to the snapshot of the pass before and is visible to that of
//! this pass. So each row is sent once on a connection, also when a slow transaction commits behind a faster one, and
//! nothing has to be remembered but a snapshot. Rows are looked for from [`WINDOW`] before the pass before: no
//! transaction of the ledger commits later than that after the time its rows carry.

mod cursor;
mod follow;
mod places;
mod read;
mod wake;

pub(crate) use cursor::EventId;
pub(crate) use follow::{Follower, Item};
pub(crate) use places::Place;
pub(crate) use read::Row;

use crate::settings::LiveSettings;
use places::Places;
use std::time::Duration;
use tiris_runtime::config::DatabaseConfig;
use tiris_store::error::Result;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wake::Wakes;

/// How far behind its own time a row may be committed: the ledger refuses after 10 seconds, its last statement and the
/// commit may take 5 seconds each.
const WINDOW: Duration = Duration::from_secs(30);
/// How far back a stream resumes; what is older is read as pages of the lists.
pub(crate) const RESUME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What all streams of a process share.
pub(crate) struct Streams {
    /// What wakes them.
    pub(crate) wakes: Wakes,
    /// Ends them all.
    pub(crate) stopping: CancellationToken,
    /// How often they look and show life.
    pub(crate) settings: LiveSettings,
    places: Places,
    /// Who exports, which is as long.
    pub(crate) exports: Places,
    /// Who has performance computed.
    pub(crate) measures: Places,
    /// Half of the connections, and of those for lists, are left to requests.
    pub(crate) reads: Semaphore,
}

impl Streams {
    /// Starts connecting to NATS, when it is configured, and does not wait for it.
    pub(crate) async fn new(settings: &LiveSettings, database: &DatabaseConfig) -> Result<Self> {
        let reads = usize::try_from(database.half().max_connections / 2).unwrap_or(usize::MAX);
        Ok(Self {
            wakes: Wakes::connect(settings.nats.as_ref()).await?,
            stopping: CancellationToken::new(),
            settings: settings.clone(),
            places: Places::for_streams(),
            exports: Places::for_exports(),
            measures: Places::for_measures(),
            reads: Semaphore::new(reads.clamp(1, Semaphore::MAX_PERMITS)),
        })
    }
}
