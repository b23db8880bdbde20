//! Commits a batch: the effects of its messages, their dead letters and the cursor, all or nothing.

use super::pace::Pace;
use super::position::{Interrupt, LanePosition};
use super::report::{Counts, Report};
use super::traces::Traces;
use super::{BACKOFF_MIN, Lane, Step};
use crate::context::Context;
use crate::dead_letters::dead_letters_of;
use crate::failure::may_be_the_event;
use crate::plan::{Item, entries};
use crate::stream::Message;
use crate::transaction::{settle, within_limit};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::collections::BTreeSet;
use std::time::Instant;
use tiris_domain::lane::LaneKey;
use tiris_runtime::{explain, telemetry, trace};
use tiris_store::dead_letters;
use tiris_store::error::{Error, Result};
use tiris_store::lanes;
use tiris_store::lanes::detours::{self, Advance, Passed};
use tiris_store::ledger::{self, Cause, Claims, Disposition, Entry, Waiting};
use tracing::{Instrument, error_span};
use uuid::Uuid;

/// The weight of messages that are parsed in a few milliseconds.
const PARSED_AT_ONCE: u64 = 64 * 1024;

/// The messages that a transaction processes, and the cursor that it moves past them.
pub(super) struct Batch<'a> {
    pub(super) items: Vec<&'a Item>,
    pub(super) moves: Moves<'a>,
}

/// The cursor that a batch moves.
pub(super) enum Moves<'a> {
    /// That of the lane, to `last`, past messages that are processed later.
    Lane {
        last: &'a Message,
        passed: &'a [Passed],
    },
    /// That of a detour.
    Detour(Advance),
}

impl Batch<'_> {
    fn weight(&self) -> u64 {
        self.items.iter().map(|item| item.weight()).sum()
    }
}

/// Returns how many of `items` the next transaction takes, at least one; those that it passes over cost nothing.
pub(super) fn fitting(items: &[Item], pace: Pace, passes: impl Fn(&Item) -> bool) -> usize {
    let mut weight: u64 = 0;
    let fits = items.iter().take_while(|item| {
        if !passes(item) {
            weight = weight.saturating_add(item.weight());
        }
        weight <= pace.limit()
    });
    fits.count().max(1).min(items.len())
}

impl Lane {
    /// Commits the pending messages, or the first of them.
    pub(super) async fn commit_pending(&mut self) -> Result<Step, Interrupt> {
        let detours = &self.detours;
        let taken = fitting(&self.pending, self.pace, |item| detours.passes(item));
        let items = &self.pending[..taken];
        let passed = detours.passed(items);
        let Some(last) = items.last() else {
            return Ok(Step::Idle);
        };
        let kept = items.iter().filter(|item| !detours.passes(item));
        let batch = Batch {
            items: kept.collect(),
            moves: Moves::Lane {
                last: &last.message,
                passed: &passed,
            },
        };

        let committed = commit(&self.context, &self.position, &batch, &mut self.pace).await?;
        let Some(Committed { counts, users }) = committed else {
            return Ok(Step::Narrowed);
        };
        let last = self.pending.drain(..taken).next_back();
        if let Some(last) = last {
            self.position.advance(&last.message);
            self.measure_lag(Some(last.message.broker_time));
        }
        self.note_passed(&passed);
        self.backoff = BACKOFF_MIN;
        self.mixed_subjects
            .note(&self.context, self.position.key, users.into_iter())
            .await;
        Ok(Step::Committed(counts))
    }

    /// Commits messages that were passed over.
    pub(super) async fn commit_detour(&mut self, batch: &Batch<'_>) -> Result<Step, Interrupt> {
        let pace = &mut self.detour_pace;
        let committed = commit(&self.context, &self.position, batch, pace).await?;
        let Some(Committed { counts, .. }) = committed else {
            return Ok(Step::Narrowed);
        };

        self.backoff = BACKOFF_MIN;
        Ok(Step::Committed(counts))
    }

    fn note_passed(&mut self, passed: &[Passed]) {
        let key = self.position.key;
        let stream = key.stream.name();
        let count = passed.iter().map(|passed| passed.count).sum();
        metrics::counter!("ingest_detour_messages_total", "stream" => stream).increment(count);

        for user_id in self.detours.note_passed(passed) {
            metrics::counter!("ingest_detours_total", "stream" => stream).increment(1);
            tracing::warn!(lane = %key, %user_id, "a user exceeds the quota of messages or bytes: their events are processed beside those of others");
        }
    }
}

/// The outcome of a committed batch.
struct Committed {
    counts: Counts,
    users: BTreeSet<Uuid>,
}

/// Commits a batch in a span of the trace it belongs to, and reports it. Returns None when nothing was committed, because a
/// smaller batch is needed to find an event that fails.
async fn commit(
    context: &Context,
    position: &LanePosition,
    batch: &Batch<'_>,
    pace: &mut Pace,
) -> Result<Option<Committed>, Interrupt> {
    let started = Instant::now();
    let traces = Traces::of(&batch.items);
    let trace = traces.batch().clone();
    // Of the highest level, so that the id is present at every log level.
    let span =
        error_span!("batch", trace_id = trace.id(), lane = %position.key, otel.kind = "consumer");
    telemetry::open(&span, &trace);
    telemetry::link(&span, traces.links());

    let work = async {
        let Some(dispositions) = attempt(context, position, batch, pace).await? else {
            return Ok(None);
        };
        let users = traces.by_user(&batch.items);
        context.connection.wake(&users);
        let report = Report {
            key: position.key,
            items: &batch.items,
            dispositions: &dispositions,
            traces: &traces,
            started,
        };
        Ok(Some(Committed {
            counts: report.write(),
            users: users.into_keys().collect(),
        }))
    };
    trace.scope(work.instrument(span)).await
}

/// Commits a batch; an event that fails alone becomes a dead letter. Returns the disposition of each message, or None when
/// nothing was committed, because the next batch must be smaller.
async fn attempt(
    context: &Context,
    position: &LanePosition,
    batch: &Batch<'_>,
    pace: &mut Pace,
) -> Result<Option<Vec<Disposition>>, Interrupt> {
    let started = Instant::now();
    let key = position.key;
    let events = batch.items.len();
    // Before the transaction, whose locks others wait for.
    parse(&batch.items).await;
    let mut outcome = transact_with_races(context, position, batch).await;
    if let Err(Interrupt::Failed(error)) = &outcome {
        let is_the_event = may_be_the_event(error);
        if events > 1 {
            // Also when no event is the cause: a batch that exceeded a time limit then fits it.
            pace.failed(batch.weight());
            if is_the_event {
                count_failure(key);
                tracing::warn!(lane = %key, events, error = %explain(error), "batch failed; searching for the event");
                return Ok(None);
            }
        } else if is_the_event && let Some(item) = batch.items.first() {
            tracing::error!(lane = %key, seq = item.message.stream_seq, error = %explain(error), "event failed");
            outcome = transact_within_limit(context, position, batch, Some(error)).await;
        }
    }

    if matches!(outcome, Err(Interrupt::Failed(_))) {
        count_failure(key);
    }
    let dispositions = outcome?;
    pace.succeeded(batch.weight(), started.elapsed());
    Ok(Some(dispositions))
}

/// Parses messages, and lets the other lanes of the process go on in between.
async fn parse(items: &[&Item]) {
    let mut parsed: u64 = 0;
    for item in items {
        item.work();
        parsed += item.weight();
        if parsed >= PARSED_AT_ONCE {
            parsed = 0;
            tokio::task::yield_now().await;
        }
    }
}

fn count_failure(key: LaneKey) {
    metrics::counter!("ingest_batch_failures_total", "stream" => key.stream.name()).increment(1);
}

/// Attempts at a batch that loses races against other transactions, such as requests for the same new order, or its session.
const ATTEMPTS_MAX: u32 = 3;

/// Commits a batch, again at once when another transaction was first, or a migration or failover outdated the session.
async fn transact_with_races(
    context: &Context,
    position: &LanePosition,
    batch: &Batch<'_>,
) -> Result<Vec<Disposition>, Interrupt> {
    let mut attempts = 1;
    loop {
        let outcome = transact_within_limit(context, position, batch, None).await;
        match &outcome {
            Err(Interrupt::Failed(error))
                if attempts < ATTEMPTS_MAX && (error.is_race() || error.is_outdated_session()) =>
            {
                attempts += 1;
            }
            _ => return outcome,
        }
    }
}

/// Commits a batch and moves the cursor past it. With `failure` its single item becomes a dead letter instead of being
/// applied. Returns the disposition of each item.
async fn transact_within_limit(
    context: &Context,
    position: &LanePosition,
    batch: &Batch<'_>,
    failure: Option<&Error>,
) -> Result<Vec<Disposition>, Interrupt> {
    let mut connection = context.pool.acquire().await?;
    let transaction = transact(context, &mut connection, position, batch, failure)
        .instrument(error_span!("commit"));
    let outcome = within_limit(transaction).await;

    settle(connection, outcome, Interrupt::is_failure)
}

async fn transact(
    context: &Context,
    connection: &mut PgConnection,
    position: &LanePosition,
    batch: &Batch<'_>,
    failure: Option<&Error>,
) -> Result<Vec<Disposition>, Interrupt> {
    let mut transaction = connection
        .begin_with(AssertSqlSafe(trace::begin_statement()))
        .await?;
    position.lock_at_cursor(&mut transaction).await?;

    let mut booked_at = None;
    let items = &batch.items;
    let dispositions = match failure {
        None if items.is_empty() => Vec::new(),
        None => {
            let applied = apply(&mut transaction, position, items).await?;
            booked_at = Some(applied.timestamp);
            applied.dispositions
        }
        Some(error) => set_aside(&mut transaction, items, error).await?,
    };
    let created_at = position.state.stream_created_at;
    let dead = dead_letters_of(
        items.iter().copied(),
        &dispositions,
        position.key,
        created_at,
    );
    dead_letters::insert(&mut transaction, &dead).await?;

    move_cursors(context, &mut transaction, position, batch, booked_at).await?;
    transaction.commit().await?;
    Ok(dispositions)
}

/// Moves the cursor of the lane or of a detour.
async fn move_cursors(
    context: &Context,
    transaction: &mut PgConnection,
    position: &LanePosition,
    batch: &Batch<'_>,
    booked_at: Option<DateTime<Utc>>,
) -> Result<(), Interrupt> {
    let key = position.key;
    let state = &position.state;
    let (cursor, fingerprint) = match &batch.moves {
        Moves::Lane { last, passed } => {
            detours::pass(transaction, key, state.stream_created_at, passed).await?;
            (last.stream_seq, Some(last.fingerprint()))
        }
        Moves::Detour(advance) => {
            if !detours::advance(transaction, key, *advance).await? {
                return Err(Interrupt::Moved(state.clone()));
            }
            (state.cursor, state.fingerprint.clone())
        }
    };

    let to = lanes::Move {
        cursor,
        fingerprint: fingerprint.as_deref(),
        events: batch.items.len(),
        booked_at,
    };
    lanes::move_cursor(transaction, key, to, context.lease).await?;
    Ok(())
}

async fn apply(
    transaction: &mut PgConnection,
    position: &LanePosition,
    items: &[&Item],
) -> Result<ledger::Batch> {
    let keys = entries(items.iter().copied())
        .flat_map(Entry::keys)
        .collect();
    let waiting = Waiting {
        keys: dead_letters::waiting_keys(transaction, position.key, keys).await?,
        ..Waiting::default()
    };

    ledger::apply(transaction, items, Claims::New, waiting, rand::random()).await
}

/// Claims the event ids of `items`, whose application failed with `error`, without applying them.
async fn set_aside(
    transaction: &mut PgConnection,
    items: &[&Item],
    error: &Error,
) -> Result<Vec<Disposition>> {
    let entries: Vec<&Entry> = entries(items.iter().copied()).collect();
    ledger::claim_dead(transaction, &entries).await?;

    let dead = Disposition::DeadLetter(Cause::internal(error));
    Ok(vec![dead; items.len()])
}
