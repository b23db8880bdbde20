//! Connections that send small answers at once and that end when the peer falls silent.
//!
//! Owns: what a connection is watched for. Must not know: HTTP. The framework's own limit on idle connections asks
//! them to finish what they have begun, for which a peer that sends half a request can let it wait for ever.

use poem::http::uri::Scheme;
use poem::listener::{Acceptor, TcpAcceptor};
use poem::web::{LocalAddr, RemoteAddr};
use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// Pause after a failed accept, which happens when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts watched connections.
pub(crate) struct Watching {
    acceptor: TcpAcceptor,
    silence_max: Duration,
}

impl Watching {
    /// A connection ends when nothing moves on it for `silence_max`.
    pub(crate) fn new(acceptor: TcpAcceptor, silence_max: Duration) -> Self {
        Self { acceptor, silence_max }
    }
}

impl Acceptor for Watching {
    type Io = Watched<TcpStream>;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.acceptor.local_addr()
    }

    async fn accept(&mut self) -> Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        loop {
            match self.acceptor.accept().await {
                Ok((stream, local, remote, scheme)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(error = &error as &dyn std::error::Error, "the peer is gone already");
                    }
                    return Ok((Watched::new(stream, self.silence_max), local, remote, scheme));
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// A stream that fails when nothing could be read or written for too long.
pub(crate) struct Watched<S> {
    stream: S,
    silence_max: Duration,
    alarm: Pin<Box<Sleep>>,
}

impl<S: Unpin> Watched<S> {
    fn new(stream: S, silence_max: Duration) -> Self {
        Self { stream, silence_max, alarm: Box::pin(tokio::time::sleep(silence_max)) }
    }

    /// Passes on what happened; waiting ends with the alarm.
    fn watch<T>(&mut self, cx: &mut Context<'_>, happened: Poll<Result<T>>) -> Poll<Result<T>> {
        if happened.is_ready() {
            self.alarm.as_mut().reset(Instant::now() + self.silence_max);
            return happened;
        }
        ready!(self.alarm.as_mut().poll(cx));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the peer has been silent for too long")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        self.watch(cx, read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // Flushing moves nothing by itself, so it neither raises nor resets the alarm.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const SILENCE_MAX: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_peer_that_sends_nothing_more_is_given_up() {
        let (mut peer, ours) = duplex(64);
        let mut watched = Watched::new(ours, SILENCE_MAX);
        peer.write_all(b"GET / HT").await.expect("sent");
        let mut head = [0; 64];
        assert_eq!(watched.read(&mut head).await.expect("the first part"), 8);
        let error = watched.read(&mut head).await.expect_err("silence");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_more_is_given_up() {
        let (_peer, ours) = duplex(4);
        let mut watched = Watched::new(ours, SILENCE_MAX);
        let error = watched.write_all(b"a long answer").await.expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn an_answer_that_is_being_sent_counts_as_life() {
        let (_peer, ours) = duplex(64);
        let mut watched = Watched::new(ours, SILENCE_MAX);
        let begun = Instant::now();
        watched.write_all(b"an answer").await.expect("sent");
        assert!(watched.alarm.deadline() >= begun + SILENCE_MAX, "the silence begins with the last byte");
    }
}
