//! Builds the API and runs it.
//!
//! Owns: the listener, and how the process starts and stops serving. Must not know: single routes.

use crate::auth::keys::Keys;
use crate::auth::provider::Providers;
use crate::connection::{Patience, Seats, Watching, room_for};
use crate::exchange::Exchanges;
use crate::history::{Histories, Replica};
use crate::middleware::client::Proxies;
use crate::outgoing::Outgoing;
use crate::routes;
use crate::settings::Settings;
use crate::state::State;
use crate::stream::Streams;
use anyhow::Context;
use poem::endpoint::BoxEndpoint;
use poem::listener::{Acceptor, Listener, TcpAcceptor, TcpListener};
use poem::{Response, Server};
use sqlx::PgPool;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tiris_runtime::config::DatabaseConfig;
use tiris_runtime::database;
use tiris_runtime::health::{self, Health};
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
    replica: Option<PgPool>,
    drain_lead: Duration,
    shutdown_timeout: Duration,
    streams: Arc<Streams>,
}

impl App {
    /// Binds the listener and builds the routes. The database may still be down.
    pub async fn build(settings: &Settings, pool: PgPool) -> anyhow::Result<Self> {
        let keys = Arc::new(Keys::load(
            &settings.key_files,
            settings.service.environment,
        )?);
        let secrets = settings.encryption.load(settings.service.environment)?;
        let outgoing = Outgoing::new()?;
        let providers = Arc::new(Providers::new(&settings.providers, &outgoing));
        let exchanges = Exchanges::new(&settings.exchanges, outgoing);
        let acceptor = TcpListener::bind(settings.listen)
            .into_acceptor()
            .await
            .with_context(|| format!("cannot listen on TIRIS_API_LISTEN {}", settings.listen))?;
        let bound = acceptor.local_addr();
        let address = bound
            .first()
            .and_then(|local| local.as_socket_addr().copied())
            .unwrap_or(settings.listen);
        let (known, environment) = (Arc::clone(&providers), settings.service.environment);
        let checked = pool.clone();
        let health = Health::default().with("database", move || {
            let pool = checked.clone();
            async move { health::of_database(tiris_store::schema::check_ready(&pool).await) }
        });
        let health = health.with("sign_in", move || {
            std::future::ready(known.check(environment))
        });
        let streams = Arc::new(Streams::new(&settings.live, &settings.database).await?);
        let woken = Arc::clone(&streams);
        let health = health.with_optional("nats", move || std::future::ready(woken.wakes.check()));
        let replica = match &settings.replica {
            Some(config) => Some(Arc::new(replica(config)?)),
            None => None,
        };
        let replica_pool = replica.as_ref().map(|replica| replica.pool().clone());
        let health = match replica.clone() {
            Some(replica) => health.with_optional("replica", move || {
                let replica = Arc::clone(&replica);
                async move { replica.check().await }
            }),
            None => health,
        };
        let state = State::new(
            Histories::new(pool.clone(), replica),
            Arc::clone(&keys),
            secrets,
            exchanges,
            providers,
            Arc::clone(&streams),
            health.clone(),
        );
        let endpoint = routes::endpoint(settings, state, &keys);
        let (shutdown_timeout, drain_lead) =
            (settings.service.shutdown_timeout, settings.drain_lead);
        let acceptor = watching(acceptor, settings);
        let replica = replica_pool;
        Ok(Self {
            acceptor,
            address,
            endpoint,
            health,
            pool,
            replica,
            drain_lead,
            shutdown_timeout,
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
        std::iter::once(("primary", &self.pool))
            .chain(self.replica.iter().map(|pool| ("replica", pool)))
    }

    /// Serves until `stop`; then says that it is not ready, and some time later takes no new requests and gives the
    /// running ones the configured time.
    pub async fn run_until(self, stop: CancellationToken) -> anyhow::Result<()> {
        let (streams, health, lead) = (self.streams, self.health, self.drain_lead);
        let stopped = async move {
            stop.cancelled().await;
            health.drain();
            // Whoever spreads the requests notices only when it asks the next time.
            tokio::time::sleep(lead).await;
            // They have no end of their own, and their clients come again elsewhere.
            streams.stopping.cancel();
        };
        Server::new_with_acceptor(self.acceptor)
            .run_with_graceful_shutdown(self.endpoint, stopped, Some(self.shutdown_timeout))
            .await
            .context("the listener failed")?;
        self.pool.close().await;
        Ok(())
    }
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
