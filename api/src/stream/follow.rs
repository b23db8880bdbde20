//! One stream, from its beginning to its end: waits until it is woken or it is time to look, and reads what is new.
//!
//! Owns: when a stream looks, and when it ends. A client that takes nothing is asked for by nobody, so at most one page
//! waits for it. Must not know: how messages come, what is new, how rows look.

use super::cursor::EventId;
use super::places::Place;
use super::read::{Begin, Reader, Row};
use super::wake::Wake;
use crate::http::problem::Problem;
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

/// How often a stream checks that its session is alive; answers are remembered for 8 seconds, 10 are promised.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Shortest pause between two passes, in which the wakes of a busy user are gathered.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// A pass is followed by a pause this many times as long, so that no stream keeps a connection busy.
const PAUSE_FACTOR: u32 = 4;
/// Longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What a stream sends.
#[derive(Debug)]
pub(crate) enum Item {
    /// It begins here, with nothing.
    Start(EventId),
    /// It begins here, and the client has missed what was before.
    Reset(EventId),
    /// Work for these traces is in what follows, or was in what was sent just before.
    Traces(Vec<String>),
    /// Something was committed.
    Row(EventId, Box<Row>),
}

/// One stream.
pub(crate) struct Follower {
    state: State,
    user: UserId,
    token: SecretString,
    reader: Reader,
    wake: Wake,
    /// What woke it for the pass under way.
    traces: Vec<Trace>,
    /// Read and not sent.
    items: VecDeque<Item>,
    /// Something was committed since the last pass began.
    is_woken: bool,
    /// The last read failed.
    is_in_trouble: bool,
    looked: Instant,
    /// The next pass begins no earlier.
    rest_until: Instant,
    _place: Place,
}

impl Follower {
    /// A stream of what `user` does not know, whose last event was `last`, for as long as `token` is good.
    pub(crate) async fn begin(
        state: State,
        user: UserId,
        token: SecretString,
        last: Option<EventId>,
    ) -> std::result::Result<Self, Problem> {
        let place = state.streams.places.take(user)?;
        let mut wake = state.streams.wakes.of(user);

        wake.check().await;

        let (reader, begin) = Reader::begin(state.pool.clone(), user, last).await?;
        let item = match begin {
            Begin::Now(id) => Some(Item::Start(id)),
            Begin::Reset(id) => Some(Item::Reset(id)),
            Begin::Resumed => None,
        };
        let now = Instant::now();

        Ok(Self {
            state,
            user,
            token,
            reader,
            wake,
            traces: Vec::new(),
            items: item.into_iter().collect(),
            // What was missed waits already.
            is_woken: begin == Begin::Resumed,
            is_in_trouble: false,
            looked: now,
            rest_until: now,
            _place: place,
        })
    }

    /// The next thing to send; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Some(item);
            }
            let stopping = self.state.streams.stopping.clone();
            let goes_on = tokio::select! {
                biased;
                () = stopping.cancelled() => false,
                goes_on = self.advance() => goes_on,
            };
            if !goes_on {
                return None;
            }
        }
    }

    /// Looks, or waits for a reason to; answers whether the stream goes on.
    async fn advance(&mut self) -> bool {
        if self.is_time() {
            sleep_until(self.rest_until).await;
            return match self.is_welcome().await {
                Some(true) => self.look().await,
                Some(false) => false,
                None => {
                    self.note_trouble(None);
                    true
                }
            };
        }

        tokio::select! {
            () = self.wake.woken() => self.is_woken = true,
            () = sleep(CHECK_INTERVAL) => {
                self.is_woken |= self.wake.check().await;
                return self.is_welcome().await != Some(false);
            }
        }

        true
    }

    fn is_time(&self) -> bool {
        let settings = &self.state.streams.settings;
        let alone = self.is_in_trouble || !self.wake.is_reliable();
        let interval = if alone {
            settings.look_alone
        } else {
            settings.look_woken
        };
        let is_asked = self.reader.is_under_way() || self.is_woken;
        (is_asked && !self.is_in_trouble) || self.looked.elapsed() >= interval
    }

    /// Whether the token is still good; none when that cannot be said now.
    async fn is_welcome(&self) -> Option<bool> {
        match self
            .state
            .sessions
            .of_token(self.token.expose_secret())
            .await
        {
            Ok(session) => Some(session.user == self.user),
            Err(Error::DatabaseUnavailable(_) | Error::Unavailable { .. }) => None,
            Err(_) => Some(false),
        }
    }

    async fn look(&mut self) -> bool {
        let begun = Instant::now();
        let is_first = !self.reader.is_under_way();

        if is_first {
            self.is_woken = false;
            self.traces = self.wake.take_traces();
            if !self.traces.is_empty() {
                let ids = self
                    .traces
                    .iter()
                    .map(|trace| trace.id().to_owned())
                    .collect();
                self.items.push_back(Item::Traces(ids));
            }
        }

        let span = self.span();

        match self.read().instrument(span.clone()).await {
            Ok(rows) => {
                self.is_in_trouble = false;
                self.looked = Instant::now();
                if !self.reader.is_under_way() {
                    self.rest_until =
                        self.looked + (begun.elapsed() * PAUSE_FACTOR).clamp(PAUSE_MIN, PAUSE_MAX);
                }
                span.in_scope(|| tracing::debug!(rows = rows.len(), "a live stream looked"));
                metrics::counter!("api_live_events_total")
                    .increment(u64::try_from(rows.len()).unwrap_or(u64::MAX));
                self.items.extend(
                    rows.into_iter()
                        .map(|(id, row)| Item::Row(id, Box::new(row))),
                );
                true
            }
            Err(error @ (Error::DatabaseUnavailable(_) | Error::Unavailable { .. })) => {
                self.note_trouble(Some(&error));
                true
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a live stream ends"
                );
                false
            }
        }
    }

    /// Of one look: it goes on with the work that woke the stream.
    fn span(&self) -> Span {
        let trace = self.traces.first().cloned().unwrap_or_else(Trace::begin);
        let span = error_span!("live", trace_id = trace.id(), user_id = %self.user, otel.kind = "consumer");
        telemetry::open(&span, &trace);
        telemetry::link(&span, self.traces.iter().skip(1).filter_map(Trace::parent));
        span
    }

    async fn read(&mut self) -> Result<Vec<(EventId, Row)>> {
        // The semaphore is never closed.
        let _turn = self.state.streams.reads.acquire().await.ok();
        self.reader.page().await
    }

    /// Looks again after a while; what was to be read still is.
    fn note_trouble(&mut self, error: Option<&Error>) {
        self.looked = Instant::now();
        if !std::mem::replace(&mut self.is_in_trouble, true) {
            tracing::warn!(
                error = error.map(tracing::field::debug),
                "a live stream waits for the database"
            );
        }
    }
}
