//! The API as a whole: its start, its listener and its shutdown.

use crate::auth::keys::Keys;
use crate::auth::provider::Providers;
use crate::auth::session::Sessions;
use crate::connection::{ConnectionLimiter, LimitedAcceptor, Timeouts, raise_limit};
use crate::entities::Entities;
use crate::exchange::Exchanges;
use crate::history::{Histories, Replica};
use crate::http::answer::Answers;
use crate::http::client::Proxies;
use crate::http::rate::Budget;
use crate::http::router;
use crate::live::Streams;
use crate::outgoing::Outgoing;
use crate::settings::Settings;
use crate::state::{Handles, State};
use anyhow::Context;
use poem::endpoint::BoxEndpoint;
use poem::listener::TcpAcceptor;
use poem::{Response, Server};
use sqlx::PgPool;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tiris_runtime::config::DatabaseConfig;
use tiris_runtime::health::Health;
use tiris_runtime::{admin, database};
use tokio_util::sync::CancellationToken;

/// Longest wait for a connection to the replica, which leaves time to query the primary instead.
const REPLICA_ACQUIRE_MAX: Duration = Duration::from_secs(1);
/// Refused sign-ins a minute that the audit trail records.
const REFUSALS_KEPT: u32 = 120;

/// The API, bound to its address and ready to run.
pub struct App {
    acceptor: LimitedAcceptor,
    address: SocketAddr,
    endpoint: BoxEndpoint<'static, Response>,
    health: Health,
    pool: PgPool,
    lists: PgPool,
    replica: Option<Arc<Replica>>,
    drain_lead: Duration,
    shutdown_timeout: Duration,
    streams: Arc<Streams>,
}

impl App {
    /// Binds the listener and builds the routes. The database may be down.
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

        let (acceptor, address) = admin::bind(settings.listen)
            .await
            .with_context(|| format!("cannot listen on TIRIS_API_LISTEN {}", settings.listen))?;

        let checked = Arc::clone(&providers);
        let mut health = health(&pool, &streams, replica.as_ref())
            .with("sign_in", move || ready(checked.check(environment)));
        if let Some(keys) = providers.keys() {
            health =
                health.with_optional("sign_in_keys", move || ready(keys.check(Instant::now())));
        }
        let state = State::new(Handles {
            pool: pool.clone(),
            db: Entities::new(pool.clone()),
            histories: Histories::new(pool.clone(), lists.clone(), replica.clone()),
            answers: answers(&streams, &settings.database),
            quotas: settings.protection.quotas,
            sessions: Sessions::new(Arc::clone(&keys), pool.clone()),
            secrets,
            exchanges,
            providers,
            refusals_kept: Budget::per_minute(REFUSALS_KEPT),
            streams: Arc::clone(&streams),
            health: health.clone(),
        });

        Ok(Self {
            acceptor: limited(acceptor, settings),
            address,
            endpoint: router::endpoint(settings, state, &keys),
            health,
            pool,
            lists,
            replica,
            drain_lead: settings.drain_lead,
            shutdown_timeout: settings.service.shutdown_timeout,
            streams,
        })
    }

    /// Returns the bound address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the health checks, for the admin listener.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Returns the pools of the primary and of the replica, by name.
    #[must_use]
    pub fn pools(&self) -> Vec<(&'static str, &PgPool)> {
        let mut pools = vec![("primary", &self.pool), ("lists", &self.lists)];
        let replica = self.replica.as_deref();
        pools.extend(replica.map(|replica| ("replica", replica.pool())));
        pools
    }

    /// Serves until `stop`; then reports that it is not ready, later refuses new requests, and gives running ones the
    /// configured time.
    pub async fn run_until(self, stop: CancellationToken) -> anyhow::Result<()> {
        let stopped = async move {
            stop.cancelled().await;
            self.health.drain();
            // The load balancer notices at its next probe.
            tokio::time::sleep(self.drain_lead).await;
            // Streams never end by themselves, and their clients reconnect to another process.
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

/// Returns the health checks of the dependencies.
fn health(pool: &PgPool, streams: &Arc<Streams>, replica: Option<&Arc<Replica>>) -> Health {
    let pool = pool.clone();
    let streams = Arc::clone(streams);
    let health = Health::default()
        .with("database", move || {
            let pool = pool.clone();
            async move { database::check(&pool, tiris_store::schema::check_ready(&pool)).await }
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

/// Opens the pool and another one for lists, which alone plans each statement for its values.
fn pools(config: &DatabaseConfig) -> sqlx::Result<(PgPool, PgPool)> {
    let (requests, lists) = config.split();
    let pool = database::pool(&requests, "tiris-api")?;

    Ok((pool, database::pool_for_lists(&lists, "tiris-api lists")?))
}

/// Returns the permits for answers; a user may read with more than half of the connections for lists, but not with all.
fn answers(streams: &Streams, config: &DatabaseConfig) -> Answers {
    let (_, lists) = config.split();
    let reads_per_user = usize::try_from(lists.max_connections.div_ceil(2)).unwrap_or(1);
    Answers::new(Arc::clone(&streams.reads), reads_per_user)
}

/// Opens the pool of the replica, with shorter waits than for the primary.
fn replica(config: &DatabaseConfig) -> anyhow::Result<Arc<Replica>> {
    let config = DatabaseConfig {
        acquire_timeout: config.acquire_timeout.min(REPLICA_ACQUIRE_MAX),
        min_connections: 0,
        ..config.clone()
    };
    let pool = database::pool_of_replica(&config, "tiris-api replica")
        .context("cannot use DATABASE_REPLICA_URL")?;
    Ok(Arc::new(Replica::new(pool)))
}

/// Adds limits and timeouts to the listener.
fn limited(acceptor: TcpAcceptor, settings: &Settings) -> LimitedAcceptor {
    let protection = &settings.protection;
    LimitedAcceptor {
        acceptor,
        timeouts: Timeouts {
            idle: settings.request_timeout + protection.idle_timeout,
            head: protection.head_timeout,
            request: settings.request_timeout + protection.head_timeout,
        },
        limiter: ConnectionLimiter::new(
            raise_limit(protection.connections),
            protection.connections_per_address,
            Proxies::new(&protection.trusted_proxies),
        ),
    }
}
