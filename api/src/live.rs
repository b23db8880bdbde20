//! Live streams of the changes of a user, sent as they are committed.
//!
//! Must not know: HTTP, the form of events.
//!
//! NATS messages only wake a stream; what it sends is read from the database, so a lost message costs time and never a
//! row. A row is new when the transaction that wrote it was invisible to the snapshot of the previous pass and is visible
//! to that of this pass. So a connection receives each row once, even when a slow transaction commits behind a faster one,
//! and the only state is a snapshot. A pass reads rows from [`WINDOW`] before the previous pass: no transaction of the
//! ledger commits later than that after the time of its rows.

mod cursor;
mod follow;
mod read;
mod wake;

pub(crate) use cursor::EventId;
pub(crate) use follow::Follower;
pub(crate) use read::{Item, Row};

use crate::keyed_limit::UserLimit;
use crate::settings::LiveSettings;
use std::sync::Arc;
use std::time::Duration;
use tiris_runtime::config::DatabaseConfig;
use tiris_store::error::Result;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wake::Wakes;

/// Longest time between the timestamp of a row and its commit: the ledger rejects after 10 seconds, its last statement
/// and the commit may take 5 seconds each.
const WINDOW: Duration = Duration::from_secs(30);
/// Longest time a stream can resume after; clients read older rows from the lists.
pub(crate) const RESUME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

const STREAMS_PER_USER_MAX: u32 = 5;
const EXPORTS_PER_USER_MAX: u32 = 2;
const MEASURES_PER_USER_MAX: u32 = 2;
const REPLAYS_PER_USER_MAX: u32 = 2;

/// The state that all streams of a process share.
pub(crate) struct Streams {
    pub(crate) wakes: Wakes,
    /// Ends all streams.
    pub(crate) stopping: CancellationToken,
    pub(crate) settings: LiveSettings,
    streams: UserLimit,
    pub(crate) exports: UserLimit,
    pub(crate) measures: UserLimit,
    /// Replays of many dead letters.
    pub(crate) replays: UserLimit,
    /// Leaves half of the connections of both pools to requests.
    pub(crate) reads: Arc<Semaphore>,
}

impl Streams {
    /// Starts connecting to NATS, when it is configured, and does not wait for it.
    pub(crate) async fn new(settings: &LiveSettings, database: &DatabaseConfig) -> Result<Self> {
        let (_, lists) = database.split();
        let reads = usize::try_from(lists.max_connections / 2).unwrap_or(usize::MAX);
        Ok(Self {
            wakes: Wakes::connect(settings.nats.as_ref()).await?,
            stopping: CancellationToken::new(),
            settings: settings.clone(),
            streams: UserLimit::new("streams", STREAMS_PER_USER_MAX, "api_live_streams"),
            exports: UserLimit::new("exports", EXPORTS_PER_USER_MAX, "api_exports"),
            measures: UserLimit::new(
                "computations of performance",
                MEASURES_PER_USER_MAX,
                "api_measures",
            ),
            replays: UserLimit::new(
                "replays of many dead letters",
                REPLAYS_PER_USER_MAX,
                "api_replays",
            ),
            reads: Arc::new(Semaphore::new(reads.clamp(1, Semaphore::MAX_PERMITS))),
        })
    }
}
