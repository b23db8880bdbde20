//! Builds the API and runs it.
//!
//! Owns: the listener, and how the process starts and stops serving. Must not know: single routes.

use crate::auth::keys::Keys;
use crate::auth::provider::Providers;
use crate::connection::{Patience, Seats, Watching, room_for};
use crate::exchange::Exchanges;
use crate::history::{Histories, Replica};
use crate::http::client::Proxies;
use crate::http::router;
use crate::outgoing::Outgoing;
use crate::settings::Settings;
use crate::state::State;
use crate::stream::Streams;
use anyhow::Context;
use poem::endpoint::BoxEndpoint;
use poem::listener::TcpAcceptor;
use poem::{Response, Server};
use sqlx::PgPool;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tiris_runtime::config::DatabaseConfig;
use tiris_runtime::health::{self, Health};
use tiris_runtime::{admin, database};
use tokio_util::sync::CancellationToken;

/// A connection without traffic is closed after this time beyond the longest request.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Longest wait for a connection to the replica, so that asking the database itself is still in time.
const REPLICA_ACQUIRE_MAX: Duration = Duration::from_secs(1);

/// The API, bound to its address and ready to run.
pub struct App {
    acceptor: Watching,
    address: SocketAddr,
    endpoint: BoxEndpoint<'static, Response>,
    health: Health,
    pool: PgPool,
    lists: PgPool,
    replica: Option<PgPool>,
    drain_lead: Duration,
    shutdown_timeout: Duration,
    streams: Arc<Streams>,
}

impl App {
    /// Binds the listener and builds the routes. The database may still be down.
    pub async fn build(settings: &Settings) -> anyhow::Result<Self> {
        let environment = settings.service.environment;
        let keys = Arc::new(Keys::load(&settings.key_files, environment)?);
        let secrets = settings.encryption.load(environment)?;
        let outgoing = Outgoing::new()?;
        let providers = Arc::new(Providers::new(&settings.providers, &outgoing));
        let exchanges = Exchanges::new(&settings.exchanges, outgoing);
        let streams = Arc::new(Streams::new(&settings.live, &settings.database).await?);
        let (pool, lists) = pools(&settings.database).context("cannot use DATABASE_URL")?;
        let replica = settings.replica.as_ref().map(replica).transpose()?;
        let replica = replica.map(Arc::new);

        let (acceptor, address) = admin::bind(settings.listen)
            .await
            .with_context(|| format!("cannot listen on TIRIS_API_LISTEN {}", settings.listen))?;

        let checked = Arc::clone(&providers);
        let health = health(&pool, &streams, replica.as_ref())
            .with("sign_in", move || ready(checked.check(environment)));
        let state = State::new(
            Histories::new(pool.clone(), lists.clone(), replica.clone()),
            Arc::clone(&keys),
            secrets,
            exchanges,
            providers,
            Arc::clone(&streams),
            health.clone(),
        );

        Ok(Self {
            acceptor: watching(acceptor, settings),
            address,
            endpoint: router::endpoint(settings, state, &keys),
            health,
            pool,
            lists,
            replica: replica.map(|replica| replica.pool().clone()),
            drain_lead: settings.drain_lead,
            shutdown_timeout: settings.service.shutdown_timeout,
            streams,
        })
    }

    /// The address that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How the API is, for the admin listener.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// The connections to the database and to its replica, by name.
    pub fn pools(&self) -> impl Iterator<Item = (&'static str, &PgPool)> {
        [("primary", &self.pool), ("lists", &self.lists)]
            .into_iter()
            .chain(self.replica.iter().map(|pool| ("replica", pool)))
    }

    /// Serves until `stop`; then says that it is not ready, and some time later takes no new requests and gives the
    /// running ones the configured time.
    pub async fn run_until(self, stop: CancellationToken) -> anyhow::Result<()> {
        let stopped = async move {
            stop.cancelled().await;
            self.health.drain();
            // Whoever spreads the requests notices only when it asks the next time.
            tokio::time::sleep(self.drain_lead).await;
            // They have no end of their own, and their clients come again elsewhere.
            self.streams.stopping.cancel();
        };

        Server::new_with_acceptor(self.acceptor)
            .run_with_graceful_shutdown(self.endpoint, stopped, Some(self.shutdown_timeout))
            .await
            .context("the listener failed")?;

        self.pool.close().await;
        self.lists.close().await;
        Ok(())
    }
}

/// The checks of what the API depends on.
fn health(pool: &PgPool, streams: &Arc<Streams>, replica: Option<&Arc<Replica>>) -> Health {
    let pool = pool.clone();
    let streams = Arc::clone(streams);
    let health = Health::default()
        .with("database", move || {
            let pool = pool.clone();
            async move { health::of_database(tiris_store::schema::check_ready(&pool).await) }
        })
        .with_optional("nats", move || ready(streams.wakes.check()));

    let Some(replica) = replica.cloned() else {
        return health;
    };
    health.with_optional("replica", move || {
        let replica = Arc::clone(&replica);
        async move { replica.check().await }
    })
}

/// Connections for everything, and for lists; planning each statement anew would cost the others.
fn pools(config: &DatabaseConfig) -> sqlx::Result<(PgPool, PgPool)> {
    let pool = database::pool(&config.half(), "tiris-api")?;
    let lists = DatabaseConfig {
        min_connections: 0,
        ..config.half()
    };

    Ok((pool, database::pool_for_lists(&lists, "tiris-api lists")?))
}

/// The copy of the database, which is waited for less long than the database itself.
fn replica(config: &DatabaseConfig) -> anyhow::Result<Replica> {
    let config = DatabaseConfig {
        acquire_timeout: config.acquire_timeout.min(REPLICA_ACQUIRE_MAX),
        min_connections: 0,
        ..config.clone()
    };
    let pool = database::pool_for_lists(&config, "tiris-api replica")
        .context("cannot use DATABASE_REPLICA_URL")?;
    Ok(Replica::new(pool))
}

/// The listener, with what the settings hold peers to.
fn watching(acceptor: TcpAcceptor, settings: &Settings) -> Watching {
    let protection = &settings.protection;
    let patience = Patience {
        silence: settings.request_timeout + SILENCE_MAX,
        request: settings.request_timeout + protection.head_timeout,
    };
    let proxies = Proxies::new(&protection.trusted_proxies);
    let seats = Seats::new(
        room_for(protection.connections),
        protection.connections_per_address,
        proxies,
    );
    Watching::new(acceptor, patience, seats)
}
