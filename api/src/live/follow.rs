//! The loop of a stream: waits for a message or the next poll, and reads the new rows.
//!
//! A stream reads only when its client takes more, so at most one page is buffered for a slow client.

use super::cursor::EventId;
use super::read::{Item, Reader, Row};
use super::wake::Wake;
use crate::http::problem::Problem;
use crate::keyed_limit::UserPermit;
use crate::state::State;
use secrecy::{ExposeSecret, SecretString};
use std::collections::VecDeque;
use std::time::Duration;
use tiris_domain::ids::UserId;
use tiris_runtime::telemetry;
use tiris_runtime::trace::Trace;
use tiris_store::error::{Error, Result};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{Instrument, Span, error_span};

/// Interval of session checks. Sessions are cached for 8 seconds, and their end is noticed within 10.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Shortest pause between two passes, which merges the messages of a busy user.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// A pause is this many times as long as the pass before it, so that no stream keeps a connection busy.
const PAUSE_FACTOR: u32 = 4;
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Formats a row as it is sent. A row takes many times the memory of its text, so none is kept for a slow client.
pub(crate) type Form = fn(EventId, Row) -> Result<String>;

/// A live stream.
pub(crate) struct Follower {
    state: State,
    user: UserId,
    token: SecretString,
    reader: Reader,
    form: Form,
    wake: Wake,
    /// The traces that woke the current pass.
    traces: Vec<Trace>,
    /// Read and not yet sent.
    items: VecDeque<Item>,
    /// A change was committed since the last pass began.
    is_woken: bool,
    /// The last read failed.
    is_failing: bool,
    last_poll: Instant,
    /// The next pass begins no earlier.
    pause_until: Instant,
    _permit: UserPermit,
}

impl Follower {
    /// Begins a stream for a user whose last event was `last`. It ends when `token` is no longer valid.
    pub(crate) async fn begin(
        state: State,
        user: UserId,
        token: SecretString,
        last: Option<EventId>,
        form: Form,
    ) -> std::result::Result<Self, Problem> {
        let permit = state.streams.streams.take(user)?;
        let mut wake = state.streams.wakes.of(user);

        wake.check().await;

        let (reader, first) = Reader::begin(state.pool.clone(), user, last).await?;
        let now = Instant::now();

        Ok(Self {
            state,
            user,
            token,
            reader,
            form,
            wake,
            traces: Vec::new(),
            // A stream that resumes starts with the missed rows.
            is_woken: first.is_none(),
            items: first.into_iter().collect(),
            is_failing: false,
            last_poll: now,
            pause_until: now,
            _permit: permit,
        })
    }

    /// Returns the next item to send, `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Some(item);
            }
            let stopping = self.state.streams.stopping.clone();
            tokio::select! {
                biased;
                () = stopping.cancelled() => return None,
                continues = self.advance() => if !continues { return None },
            }
        }
    }

    /// Reads, or waits for a reason to read; returns whether the stream continues.
    async fn advance(&mut self) -> bool {
        if self.is_due() {
            sleep_until(self.pause_until).await;
            return match self.is_authorized().await {
                Some(true) => self.poll().await,
                Some(false) => false,
                None => {
                    self.note_failure(None);
                    true
                }
            };
        }

        tokio::select! {
            () = self.wake.woken() => self.is_woken = true,
            () = sleep(CHECK_INTERVAL) => {
                self.is_woken |= self.wake.check().await;
                return self.is_authorized().await != Some(false);
            }
        }

        true
    }

    fn is_due(&self) -> bool {
        let settings = &self.state.streams.settings;
        let interval = if self.is_failing || !self.wake.is_reliable() {
            settings.poll_interval
        } else {
            settings.poll_interval_with_nats
        };
        let has_reason = self.reader.is_under_way() || self.is_woken;
        (has_reason && !self.is_failing) || self.last_poll.elapsed() >= interval
    }

    /// Returns whether the token is still valid, `None` when the check fails.
    async fn is_authorized(&self) -> Option<bool> {
        let sessions = &self.state.sessions;
        match sessions.of_token(self.token.expose_secret()).await {
            Ok(session) => Some(session.user == self.user),
            Err(Error::DatabaseUnavailable(_) | Error::Unavailable { .. }) => None,
            Err(_) => Some(false),
        }
    }

    /// Reads a page; returns whether the stream continues.
    async fn poll(&mut self) -> bool {
        let begun = Instant::now();

        if !self.reader.is_under_way() {
            self.is_woken = false;
            self.traces = self.wake.take_traces();
            if !self.traces.is_empty() {
                let ids = self.traces.iter().map(|trace| trace.id().to_owned());
                self.items.push_back(Item::Traces(ids.collect()));
            }
        }

        let span = self.span();

        match self.read().instrument(span.clone()).await {
            Ok(rows) => {
                self.is_failing = false;
                self.last_poll = Instant::now();
                if !self.reader.is_under_way() {
                    let pause = (begun.elapsed() * PAUSE_FACTOR).clamp(PAUSE_MIN, PAUSE_MAX);
                    self.pause_until = self.last_poll + pause;
                }
                span.in_scope(|| tracing::debug!(rows = rows.len(), "polled for a live stream"));
                metrics::counter!("api_live_events_total")
                    .increment(u64::try_from(rows.len()).unwrap_or(u64::MAX));
                self.items.extend(rows.into_iter().map(Item::Row));
                true
            }
            Err(error @ (Error::DatabaseUnavailable(_) | Error::Unavailable { .. })) => {
                self.note_failure(Some(&error));
                true
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "a live stream ends");
                false
            }
        }
    }

    /// Returns the span of a poll, which continues the trace that woke the stream.
    fn span(&self) -> Span {
        let trace = self.traces.first().cloned().unwrap_or_else(Trace::begin);
        let span = error_span!("live", trace_id = trace.id(), user_id = %self.user, otel.kind = "consumer");
        telemetry::open(&span, &trace);
        telemetry::link(&span, self.traces.iter().skip(1).filter_map(Trace::parent));
        span
    }

    async fn read(&mut self) -> Result<Vec<String>> {
        // The semaphore is never closed.
        let _turn = self.state.streams.reads.acquire().await.ok();
        let rows = self.reader.page().await?.into_iter();
        rows.map(|(id, row)| (self.form)(id, row)).collect()
    }

    /// Postpones the same read to the next poll.
    fn note_failure(&mut self, error: Option<&Error>) {
        self.last_poll = Instant::now();
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(
                error = error.map(tracing::field::debug),
                "a live stream waits for the database"
            );
        }
    }
}
