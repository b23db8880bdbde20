//! What every request may need.
//!
//! Owns: the handles shared by all requests of a process. Must not know: requests.

use crate::auth::keys::Keys;
use crate::auth::provider::Providers;
use crate::auth::session::Sessions;
use crate::entities::Entities;
use crate::exchange::Exchanges;
use crate::history::Histories;
use crate::http::rate::Budget;
use crate::stream::Streams;
use sqlx::PgPool;
use std::sync::Arc;
use tiris_runtime::crypto::Secrets;
use tiris_runtime::health::Health;

/// Refused sign-ins that are kept in the audit trail, in a minute.
const REFUSALS_KEPT: u32 = 120;

/// Shared handles; cloning is cheap.
#[derive(Clone)]
pub(crate) struct State(Arc<Parts>);

/// The handles.
pub(crate) struct Parts {
    /// Connections, for SQL and for transactions that move money.
    pub(crate) pool: PgPool,
    /// The same connections, for entities.
    pub(crate) db: Entities,
    /// Where transactions and trading logs are read page by page.
    pub(crate) histories: Histories,
    /// Who is signed in.
    pub(crate) sessions: Sessions,
    /// What encrypts credentials.
    pub(crate) secrets: Secrets,
    /// Whom to ask about credentials.
    pub(crate) exchanges: Exchanges,
    /// Who vouches for people.
    pub(crate) providers: Arc<Providers>,
    /// How many refused sign-ins are kept.
    pub(crate) refusals_kept: Budget,
    /// Who follows what happens.
    pub(crate) streams: Arc<Streams>,
    /// How the process is.
    pub(crate) health: Health,
}

impl State {
    pub(crate) fn new(
        histories: Histories,
        keys: Arc<Keys>,
        secrets: Secrets,
        exchanges: Exchanges,
        providers: Arc<Providers>,
        streams: Arc<Streams>,
        health: Health,
    ) -> Self {
        let pool = histories.pool().clone();
        let db = Entities::new(pool.clone());
        let sessions = Sessions::new(keys, pool.clone());
        let refusals_kept = Budget::per_minute(REFUSALS_KEPT);

        Self(Arc::new(Parts {
            pool,
            db,
            histories,
            sessions,
            secrets,
            exchanges,
            providers,
            refusals_kept,
            streams,
            health,
        }))
    }
}

impl std::ops::Deref for State {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
