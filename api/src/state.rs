//! The handles that all requests of a process share.

use crate::auth::provider::Providers;
use crate::auth::session::Sessions;
use crate::entities::Entities;
use crate::exchange::Exchanges;
use crate::history::Histories;
use crate::http::answer::Answers;
use crate::http::rate::Budget;
use crate::live::Streams;
use crate::settings::QuotaSettings;
use sqlx::PgPool;
use std::sync::Arc;
use tiris_runtime::crypto::Secrets;
use tiris_runtime::health::Health;

/// Shared handles; cloning is cheap.
pub(crate) type State = Arc<Handles>;

pub(crate) struct Handles {
    pub(crate) pool: PgPool,
    /// The connections of `pool`, for entities.
    pub(crate) db: Entities,
    pub(crate) histories: Histories,
    pub(crate) answers: Answers,
    pub(crate) sessions: Sessions,
    pub(crate) quotas: QuotaSettings,
    pub(crate) secrets: Secrets,
    pub(crate) exchanges: Exchanges,
    pub(crate) providers: Arc<Providers>,
    /// Limits the refused sign-ins in the audit trail.
    pub(crate) refusals_kept: Budget,
    pub(crate) streams: Arc<Streams>,
    pub(crate) health: Health,
}
