//! Builds the API and runs it.
//!
//! Owns: the listener, and how the process starts and stops serving. Must not know: single routes.

use crate::auth::keys::Keys;
use crate::routes;
use crate::settings::Settings;
use crate::state::State;
use anyhow::Context;
use poem::endpoint::BoxEndpoint;
use poem::http::uri::Scheme;
use poem::listener::{Acceptor, Listener, TcpAcceptor, TcpListener};
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Response, Server};
use sqlx::PgPool;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tiris_shared::admin::Readiness;
use tiris_shared::database;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// A connection without traffic is closed after this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Pause after a failed accept, which happens when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The API, bound to its address and ready to run.
pub struct App {
    acceptor: Quick,
    address: SocketAddr,
    endpoint: BoxEndpoint<'static, Response>,
    readiness: Readiness,
    pool: PgPool,
    shutdown_timeout: Duration,
}

impl App {
    /// Binds the listener and builds the routes. The database may still be down.
    pub async fn build(settings: &Settings, pool: PgPool) -> anyhow::Result<Self> {
        let keys = Arc::new(Keys::load(&settings.key_files, settings.service.environment)?);
        let acceptor = TcpListener::bind(settings.listen)
            .into_acceptor()
            .await
            .with_context(|| format!("cannot listen on TIRIS_API_LISTEN {}", settings.listen))?;
        let bound = acceptor.local_addr();
        let address =
            bound.first().and_then(|local| local.as_socket_addr().copied()).unwrap_or(settings.listen);
        let checked = pool.clone();
        let readiness = Readiness::default().with("database", move || {
            let pool = checked.clone();
            async move {
                match database::check_ready(&pool).await {
                    Ok(()) => Ok("reachable and migrated".to_owned()),
                    Err(error) => Err(explain(&error)),
                }
            }
        });
        let state = State::new(pool.clone(), Arc::clone(&keys), readiness.clone());
        let endpoint = routes::endpoint(settings, state, &keys);
        let shutdown_timeout = settings.service.shutdown_timeout;
        Ok(Self { acceptor: Quick(acceptor), address, endpoint, readiness, pool, shutdown_timeout })
    }

    /// The address that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What makes the API ready, for the admin listener.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Serves until `stop`; then takes no new requests and gives the running ones the configured time.
    pub async fn run_until(self, stop: CancellationToken) -> anyhow::Result<()> {
        Server::new_with_acceptor(self.acceptor)
            .idle_timeout(IDLE_TIMEOUT)
            .run_with_graceful_shutdown(self.endpoint, stop.cancelled_owned(), Some(self.shutdown_timeout))
            .await
            .context("the listener failed")?;
        self.pool.close().await;
        Ok(())
    }
}

fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Accepts connections that send small answers at once instead of waiting for more to send.
struct Quick(TcpAcceptor);

impl Acceptor for Quick {
    type Io = TcpStream;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.0.local_addr()
    }

    async fn accept(&mut self) -> std::io::Result<(TcpStream, LocalAddr, RemoteAddr, Scheme)> {
        loop {
            match self.0.accept().await {
                Ok(accepted) => {
                    if let Err(error) = accepted.0.set_nodelay(true) {
                        tracing::debug!(error = &error as &dyn std::error::Error, "the peer is gone already");
                    }
                    return Ok(accepted);
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}
