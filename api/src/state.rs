//! What every request may need.
//!
//! Owns: the handles shared by all requests of a process. Must not know: requests.

use crate::auth::keys::Keys;
use crate::auth::provider::Providers;
use crate::auth::session::Sessions;
use crate::exchange::Exchanges;
use sea_orm::{DatabaseConnection, SqlxPostgresConnector};
use sqlx::PgPool;
use std::sync::Arc;
use tiris_shared::admin::Readiness;
use tiris_shared::crypto::Secrets;

/// Shared handles; cloning is cheap.
#[derive(Clone)]
pub(crate) struct State(Arc<Parts>);

/// The handles.
pub(crate) struct Parts {
    /// Connections, for SQL and for transactions that move money.
    pub(crate) pool: PgPool,
    /// The same connections, for entities.
    pub(crate) db: DatabaseConnection,
    /// Who is signed in.
    pub(crate) sessions: Sessions,
    /// What encrypts credentials.
    pub(crate) secrets: Secrets,
    /// Whom to ask about credentials.
    pub(crate) exchanges: Exchanges,
    /// Who vouches for people.
    pub(crate) providers: Arc<Providers>,
    /// What makes the process ready.
    pub(crate) readiness: Readiness,
}

impl State {
    pub(crate) fn new(
        pool: PgPool,
        keys: Arc<Keys>,
        secrets: Secrets,
        exchanges: Exchanges,
        providers: Arc<Providers>,
        readiness: Readiness,
    ) -> Self {
        let db = SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone());
        let sessions = Sessions::new(keys, pool.clone());
        Self(Arc::new(Parts { pool, db, sessions, secrets, exchanges, providers, readiness }))
    }
}

impl std::ops::Deref for State {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
