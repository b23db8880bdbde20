//! The context that all lanes of a worker share.

use crate::connection::Connection;
use crate::settings::{Policy, Quota, StreamLimits};
use crate::status::Board;
use sqlx::PgPool;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tiris_domain::event::BareSubjects;
use uuid::Uuid;

/// Connections, identity and settings that all lanes of a worker share.
#[derive(Clone, Debug)]
pub struct Context {
    /// Connections to PostgreSQL.
    pub pool: PgPool,
    /// The connection to NATS.
    pub connection: Connection,
    /// Identifies this process in the owner column of its lanes.
    pub owner: Uuid,
    /// Lanes per stream, without the lane of subjects without a user.
    pub lanes: u16,
    /// Limits of the streams by the settings.
    pub stream_limits: StreamLimits,
    /// Whether events on subjects without a user are accepted.
    pub bare_subjects: BareSubjects,
    /// Maximum number of events in a batch.
    pub batch_events: usize,
    /// What a user may publish before others go first.
    pub quota: Quota,
    /// Whether detours may begin.
    pub detours: DetourSwitch,
    /// How long a lane belongs to this worker after the last renewal, by the clock of the database.
    pub lease: Duration,
    /// How often an idle lane moves its cursor past the messages of other lanes.
    pub idle_move: Duration,
    /// Whether a lane continues when its cursor and the stream do not match.
    pub policy: Policy,
    /// The board on which lanes report their condition.
    pub board: Board,
}

/// Whether detours may begin: not while a worker of an earlier version could take over the lane, as it ignores them.
#[derive(Clone, Debug)]
pub struct DetourSwitch(Arc<AtomicBool>);

impl Default for DetourSwitch {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl DetourSwitch {
    /// Sets whether detours may begin, and returns whether they might before.
    pub fn set(&self, may_begin: bool) -> bool {
        self.0.swap(may_begin, Ordering::Relaxed)
    }

    /// Returns whether detours may begin.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
