//! A connection that fails when its peer is idle, sends a request too slowly, or goes away during a response.
//!
//! The framework's own idle timeout asks connections to finish what they began, so a peer that sends half a request could
//! make it wait forever; and it does not set the HTTP library's timeout of a request head, which would include the pause
//! before a request.

use super::limiter::ConnectionPermit;
use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Longest pause of a response to a peer that has gone away.
const GONE_PAUSE: Duration = Duration::from_secs(2);

/// The timeouts of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// Without any traffic.
    pub(crate) idle: Duration,
    /// From the first byte of a request to the blank line after its head, however slowly bytes arrive.
    pub(crate) head: Duration,
    /// From the first byte of a request to the first byte of its response, however slowly bytes arrive.
    pub(crate) request: Duration,
}

/// The head of a request, which ends with a blank line, however its bytes are divided.
#[derive(Default)]
struct Head {
    /// Line ends in a row.
    line_ends: u8,
}

impl Head {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                _ if self.is_complete() => return,
                b'\n' => self.line_ends += 1,
                b'\r' => {}
                _ => self.line_ends = 0,
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.line_ends == 2
    }
}

/// A stream with timeouts.
pub(crate) struct Watched<S> {
    stream: S,
    timeouts: Timeouts,
    /// When the request began whose response has not begun.
    requested: Option<Instant>,
    head: Head,
    /// The peer has closed its side. Hardly any client closes only one side, so it counts as gone.
    is_gone: bool,
    deadline: Pin<Box<Sleep>>,
    _permit: Option<ConnectionPermit>,
}

impl<S: Unpin> Watched<S> {
    pub(super) fn new(stream: S, timeouts: Timeouts, permit: Option<ConnectionPermit>) -> Self {
        Self {
            stream,
            timeouts,
            requested: None,
            head: Head::default(),
            is_gone: false,
            deadline: Box::pin(tokio::time::sleep(timeouts.idle)),
            _permit: permit,
        }
    }

    /// Fails a pending operation at the deadline; a completed one moves the deadline.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<Result<T>>,
        requested: Option<Instant>,
    ) -> Poll<Result<T>> {
        if outcome.is_pending() {
            ready!(self.deadline.as_mut().poll(cx));
            let late = Error::new(ErrorKind::TimedOut, "the peer takes too long");
            return Poll::Ready(Err(late));
        }

        self.requested = requested;
        let pause = if self.is_gone {
            GONE_PAUSE
        } else {
            self.timeouts.idle
        };
        let idle = Instant::now() + pause;
        let limit = if self.head.is_complete() {
            self.timeouts.request
        } else {
            self.timeouts.head
        };
        let late = requested.map(|requested| requested + limit);
        let deadline = late.map_or(idle, |late| late.min(idle));
        self.deadline.as_mut().reset(deadline);
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        if matches!(read, Poll::Ready(Ok(())))
            && into.filled().len() == before
            && into.remaining() > 0
        {
            self.is_gone = true;
            self.deadline.as_mut().reset(Instant::now() + GONE_PAUSE);
            return read;
        }

        if self.requested.is_none() {
            self.head = Head::default();
        }
        if let Some(bytes) = into.filled().get(before..) {
            self.head.add(bytes);
        }
        let requested = self.requested.unwrap_or_else(Instant::now);
        self.watch(cx, read, Some(requested))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written, None)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watch(cx, written, None)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // Flushing transfers nothing by itself, so it does not move the deadline.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // The framework continues a response after the HTTP library has given it up, so an endless one would last until
        // writing fails. A response in steady progress still completes, for a peer that only stopped sending.
        if self.is_gone && self.requested.is_none() && self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(Error::new(ErrorKind::BrokenPipe, "the peer is gone")));
        }
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

    const TIMEOUTS: Timeouts = Timeouts {
        idle: Duration::from_millis(50),
        head: Duration::from_secs(3600),
        request: Duration::from_secs(3600),
    };

    #[tokio::test]
    async fn ends_when_the_peer_stops_sending() {
        let (mut peer, ours) = duplex(64);
        let mut watched = Watched::new(ours, TIMEOUTS, None);
        peer.write_all(b"GET / HT").await.expect("sent");
        let mut head = [0; 64];
        assert_eq!(watched.read(&mut head).await.expect("the first part"), 8);
        let error = watched.read(&mut head).await.expect_err("idle");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn ends_when_the_peer_stops_reading() {
        let (_peer, ours) = duplex(4);
        let mut watched = Watched::new(ours, TIMEOUTS, None);
        let error = watched
            .write_all(b"a long response")
            .await
            .expect_err("the peer does not read");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn sending_a_response_moves_the_deadline() {
        let (_peer, ours) = duplex(64);
        let mut watched = Watched::new(ours, TIMEOUTS, None);
        let begun = Instant::now();
        watched.write_all(b"a response").await.expect("sent");
        assert!(
            watched.deadline.deadline() >= begun + TIMEOUTS.idle,
            "the idle time begins with the last byte"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn ends_when_the_response_to_a_gone_peer_pauses() {
        let (mut peer, ours) = duplex(64);
        let mut watched = Watched::new(ours, TIMEOUTS, None);
        peer.write_all(b"request").await.expect("sent");
        peer.shutdown().await.expect("closed");
        let mut request = Vec::new();
        watched.read_to_end(&mut request).await.expect("received");

        tokio::time::sleep(GONE_PAUSE * 2).await;
        watched.flush().await.expect("the response is still sent");

        for _ in 0..3 {
            watched.write_all(b"a response").await.expect("sent");
            tokio::time::sleep(GONE_PAUSE / 2).await;
            watched.flush().await.expect("it continues");
        }

        tokio::time::sleep(GONE_PAUSE).await;
        let error = watched.flush().await.expect_err("the peer is gone");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    /// Sends a request of which more and more bytes follow, and returns the seconds until it fails.
    async fn trickled(begin: &'static [u8]) -> u64 {
        let timeouts = Timeouts {
            idle: Duration::from_secs(60),
            head: Duration::from_secs(5),
            request: Duration::from_secs(20),
        };
        let (mut peer, ours) = duplex(64);
        let mut watched = Watched::new(ours, timeouts, None);
        peer.write_all(begin).await.expect("sent");
        let trickle = tokio::spawn(async move {
            while peer.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });

        let begun = Instant::now();
        let mut rest = Vec::new();
        let error = watched.read_to_end(&mut rest).await.expect_err("too slow");

        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(watched);
        trickle.await.expect("ended");
        // The paused clock advances only by timers.
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn ends_when_the_peer_trickles_its_request() {
        assert_eq!(trickled(b"GET / HTTP/1.1\r\nhost: x\r\n").await, 5);
        assert_eq!(trickled(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n").await, 20);
    }

    #[tokio::test(start_paused = true)]
    async fn each_response_restarts_the_request_timeout() {
        let timeouts = Timeouts {
            idle: Duration::from_secs(60),
            head: Duration::from_secs(5),
            request: Duration::from_secs(5),
        };
        let (mut peer, ours) = duplex(64);
        let mut watched = Watched::new(ours, timeouts, None);

        let mut byte = [0];
        for _ in 0..10 {
            peer.write_all(b"q").await.expect("received");
            watched.read_exact(&mut byte).await.expect("received");
            tokio::time::sleep(Duration::from_secs(4)).await;
            watched.write_all(b"a").await.expect("sent");
            peer.read_exact(&mut byte).await.expect("received");
        }
    }
}
