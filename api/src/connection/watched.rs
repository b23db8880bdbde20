//! A connection that fails when its peer falls silent, takes too long to ask, or goes away while it is answered.
//!
//! Owns: what a connection is watched for. Must not know: HTTP. The framework's own limit on idle connections asks
//! them to finish what they have begun, for which a peer that sends half a request can let it wait for ever; and it
//! does not set the HTTP library's limit on the head of a request, which would count the pause before one as well.

use super::seats::Seat;
use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long an answer to a peer that is gone may pause before it is given up.
const GONE_PAUSE: Duration = Duration::from_secs(2);

/// How long a peer is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Nothing moves.
    pub(crate) silence: Duration,
    /// From the first byte of a request to the first byte of its answer, however the bytes trickle.
    pub(crate) request: Duration,
}

/// A stream that fails when its peer is waited for too long.
pub(crate) struct Watched<S> {
    stream: S,
    patience: Patience,
    /// When the peer began to ask what has not begun to be answered.
    asked: Option<Instant>,
    /// The peer sends nothing more. Hardly any client closes only this way, so it is gone, as far as one can tell.
    is_gone: bool,
    alarm: Pin<Box<Sleep>>,
    _seat: Option<Seat>,
}

impl<S: Unpin> Watched<S> {
    pub(super) fn new(stream: S, patience: Patience, seat: Option<Seat>) -> Self {
        let alarm = Box::pin(tokio::time::sleep(patience.silence));
        Self {
            stream,
            patience,
            asked: None,
            is_gone: false,
            alarm,
            _seat: seat,
        }
    }

    /// Passes on what happened; waiting ends with the alarm.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        happened: Poll<Result<T>>,
        moved: Moved,
    ) -> Poll<Result<T>> {
        if happened.is_pending() {
            ready!(self.alarm.as_mut().poll(cx));
            let late = Error::new(ErrorKind::TimedOut, "the peer takes too long");
            return Poll::Ready(Err(late));
        }

        let now = Instant::now();
        self.asked = match moved {
            Moved::In => Some(self.asked.unwrap_or(now)),
            Moved::Out => None,
        };

        let pause = if self.is_gone {
            GONE_PAUSE
        } else {
            self.patience.silence
        };
        let silent = now + pause;
        let late = self.asked.map(|asked| asked + self.patience.request);
        let alarm = late.map_or(silent, |late| late.min(silent));
        self.alarm.as_mut().reset(alarm);
        happened
    }
}

/// Which way bytes went.
#[derive(Clone, Copy)]
enum Moved {
    In,
    Out,
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
            self.alarm.as_mut().reset(Instant::now() + GONE_PAUSE);
            return read;
        }
        self.watch(cx, read, Moved::In)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written, Moved::Out)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watch(cx, written, Moved::Out)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // Flushing moves nothing by itself, so it neither raises nor resets the alarm.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // The framework goes on with an answer after the HTTP library has given it up, and one without an end would last
        // until writing fails. What goes on steadily is still done, for a peer that has only stopped asking.
        if self.is_gone && self.asked.is_none() && self.alarm.as_mut().poll(cx).is_ready() {
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

    const PATIENCE: Patience = Patience {
        silence: Duration::from_millis(50),
        request: Duration::from_secs(3600),
    };

    #[tokio::test]
    async fn a_peer_that_sends_nothing_more_is_given_up() {
        let (mut peer, ours) = duplex(64);
        let mut watched = Watched::new(ours, PATIENCE, None);
        peer.write_all(b"GET / HT").await.expect("sent");
        let mut head = [0; 64];
        assert_eq!(watched.read(&mut head).await.expect("the first part"), 8);
        let error = watched.read(&mut head).await.expect_err("silence");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_more_is_given_up() {
        let (_peer, ours) = duplex(4);
        let mut watched = Watched::new(ours, PATIENCE, None);
        let error = watched
            .write_all(b"a long answer")
            .await
            .expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn an_answer_that_is_being_sent_counts_as_life() {
        let (_peer, ours) = duplex(64);
        let mut watched = Watched::new(ours, PATIENCE, None);
        let begun = Instant::now();
        watched.write_all(b"an answer").await.expect("sent");
        assert!(
            watched.alarm.deadline() >= begun + PATIENCE.silence,
            "the silence begins with the last byte"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_goes_away_is_given_up_once_its_answer_pauses() {
        let (mut peer, ours) = duplex(64);
        let mut watched = Watched::new(ours, PATIENCE, None);
        peer.write_all(b"asked").await.expect("sent");
        peer.shutdown().await.expect("closed");
        let mut request = Vec::new();
        watched.read_to_end(&mut request).await.expect("asked");

        tokio::time::sleep(GONE_PAUSE * 2).await;
        watched
            .flush()
            .await
            .expect("what was asked for is still done");

        for _ in 0..3 {
            watched.write_all(b"an answer").await.expect("sent");
            tokio::time::sleep(GONE_PAUSE / 2).await;
            watched.flush().await.expect("it goes on");
        }

        tokio::time::sleep(GONE_PAUSE).await;
        let error = watched.flush().await.expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_trickles_its_request_is_given_up() {
        let patience = Patience {
            silence: Duration::from_secs(60),
            request: Duration::from_secs(5),
        };
        let (mut peer, ours) = duplex(64);
        let mut watched = Watched::new(ours, patience, None);
        let trickle = tokio::spawn(async move {
            while peer.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });

        let begun = Instant::now();
        let mut rest = Vec::new();
        let error = watched.read_to_end(&mut rest).await.expect_err("too slow");

        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(
            begun.elapsed().as_secs(),
            5,
            "in a time that stands still while nothing happens"
        );
        drop(watched);
        trickle.await.expect("ended");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_for_a_request_begins_anew_with_every_answer() {
        let patience = Patience {
            silence: Duration::from_secs(60),
            request: Duration::from_secs(5),
        };
        let (mut peer, ours) = duplex(64);
        let mut watched = Watched::new(ours, patience, None);

        let mut byte = [0];
        for _ in 0..10 {
            peer.write_all(b"q").await.expect("asked");
            watched.read_exact(&mut byte).await.expect("heard");
            tokio::time::sleep(Duration::from_secs(4)).await;
            watched.write_all(b"a").await.expect("answered");
            peer.read_exact(&mut byte).await.expect("told");
        }
    }
}
