//! Connections that send small answers at once, that end when the peer falls silent or takes too long to ask, and of
//! which there are not too many.
//!
//! Owns: who gets a connection. Must not know: HTTP.

mod descriptors;
mod seats;
mod watched;

pub(crate) use descriptors::room_for;
pub(crate) use seats::Seats;
pub(crate) use watched::Patience;

use poem::http::uri::Scheme;
use poem::listener::{Acceptor, TcpAcceptor};
use poem::web::{LocalAddr, RemoteAddr};
use std::io::{ErrorKind, Result};
use std::time::Duration;
use tokio::net::TcpStream;
use watched::Watched;

/// Pause after a failed accept, which happens when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts watched connections.
pub(crate) struct Watching {
    acceptor: TcpAcceptor,
    patience: Patience,
    seats: Seats,
}

impl Watching {
    pub(crate) fn new(acceptor: TcpAcceptor, patience: Patience, seats: Seats) -> Self {
        Self {
            acceptor,
            patience,
            seats,
        }
    }

    /// A connection that has a seat. While all are taken, whoever comes waits in the queue of the kernel.
    async fn next(&mut self) -> Result<(Watched<TcpStream>, LocalAddr, RemoteAddr, Scheme)> {
        loop {
            if self.seats.are_full() {
                metrics::counter!("http_connections_full_total").increment(1);
            }
            let permit = self.seats.free().await.ok_or(ErrorKind::Interrupted)?;
            let (stream, local, remote, scheme) = self.acceptor.accept().await?;

            let peer = remote.as_socket_addr().map(|address| address.ip());
            let Some(seat) = self.seats.take(permit, peer) else {
                metrics::counter!("http_connections_refused_total").increment(1);
                continue;
            };
            if let Err(error) = stream.set_nodelay(true) {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "the peer is gone already");
            }

            let stream = Watched::new(stream, self.patience, Some(seat));
            return Ok((stream, local, remote, scheme));
        }
    }
}

fn warn(error: &std::io::Error) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(error, "cannot accept a connection");
}

impl Acceptor for Watching {
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
