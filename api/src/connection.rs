//! Accepts connections: their number is limited, and they end when the peer is idle or slow.
//!
//! Must not know: HTTP.

mod descriptors;
mod limiter;
mod watched;

pub(crate) use descriptors::raise_limit;
pub(crate) use limiter::ConnectionLimiter;
pub(crate) use watched::Timeouts;

use poem::http::uri::Scheme;
use poem::listener::{Acceptor, TcpAcceptor};
use poem::web::{LocalAddr, RemoteAddr};
use std::io::{ErrorKind, Result};
use std::time::Duration;
use tokio::net::TcpStream;
use watched::Watched;

/// Pause after a failed accept, such as when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts limited connections with timeouts.
pub(crate) struct LimitedAcceptor {
    pub(crate) acceptor: TcpAcceptor,
    pub(crate) timeouts: Timeouts,
    pub(crate) limiter: ConnectionLimiter,
}

impl LimitedAcceptor {
    /// Accepts a connection that the limiter permits. At the limit of the process, clients wait in the kernel's queue.
    async fn next(&mut self) -> Result<(Watched<TcpStream>, LocalAddr, RemoteAddr, Scheme)> {
        loop {
            if self.limiter.is_full() {
                metrics::counter!("http_connections_full_total").increment(1);
            }
            let process = self.limiter.free().await.ok_or(ErrorKind::Interrupted)?;
            let (stream, local, remote, scheme) = self.acceptor.accept().await?;

            let peer = remote.as_socket_addr().map(|address| address.ip());
            let Some(permit) = self.limiter.permit(process, peer) else {
                metrics::counter!("http_connections_refused_total").increment(1);
                continue;
            };
            if let Err(error) = stream.set_nodelay(true) {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "the peer has closed the connection already");
            }

            let stream = Watched::new(stream, self.timeouts, Some(permit));
            return Ok((stream, local, remote, scheme));
        }
    }
}

fn warn(error: &std::io::Error) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(error, "cannot accept a connection");
}

impl Acceptor for LimitedAcceptor {
    type Io = Watched<TcpStream>;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.acceptor.local_addr()
    }

    async fn accept(&mut self) -> Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        loop {
            match self.next().await {
                Ok(accepted) => return Ok(accepted),
                Err(error) => {
                    warn(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}
