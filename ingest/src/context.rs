//! What all lanes of a worker share.

use crate::connection::Connection;
use crate::settings::Policy;
use crate::status::Board;
use sqlx::PgPool;
use std::time::Duration;
use tiris_domain::event::BareSubjects;
use uuid::Uuid;

/// What all lanes of a worker share.
#[derive(Clone, Debug)]
pub struct Context {
    /// The database.
    pub pool: PgPool,
    /// NATS.
    pub connection: Connection,
    /// This process, in the owner column of its lanes.
    pub owner: Uuid,
    /// Lanes per stream.
    pub lanes: u16,
    /// Copies a cluster keeps of a stream this process makes.
    pub stream_replicas: usize,
    /// Whether subjects without a user are taken.
    pub bare_subjects: BareSubjects,
    /// Upper bound of a batch, in events.
    pub batch_events: usize,
    /// How long a lane stays ours without a sign of life, by the database's clock.
    pub lease: Duration,
    /// How often an idle lane moves its cursor behind the messages of other lanes, at most.
    pub idle_move: Duration,
    /// What a lane does whose cursor and stream do not belong together.
    pub policy: Policy,
    /// Where lanes report their condition.
    pub board: Board,
}
