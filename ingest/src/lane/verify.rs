//! Whether the lane may read: it is ours, the position is the database's, and the stream is the one it belongs to.

use super::position::{LanePosition, Locked};
use crate::context::Context;
use crate::stream::{Mismatch, Position, Remedy, StreamState, fingerprint_at, judge, state_of};
use tiris_store::error::Result;
use tiris_store::lanes::{self, Restart};

/// What the stream and the database say before a reader is opened.
pub(super) enum Verified {
    /// The lane may read; the last sequence of its stream.
    Ready(u64),
    /// Cursor and stream do not belong together.
    Mismatch(Mismatch, StreamState),
    /// Another worker has the lane.
    Lost,
}

/// Follows the database, and compares the position with the stream.
pub(super) async fn verify(context: &Context, position: &mut LanePosition) -> Result<Verified> {
    match lanes::find(&context.pool, position.key).await? {
        Some(state) if position.owns(&state) => position.follow(&state),
        Some(_) | None => return Ok(Verified::Lost),
    }

    let connection = &context.connection;
    let key = position.key;
    let stream = state_of(connection, key.stream).await?;
    let at_cursor = fingerprint_at(connection, key.stream, &stream, position.cursor).await?;
    let remembered = Position {
        lanes: context.lanes,
        stream_created_at: position.stream_created_at,
        cursor: position.cursor,
        fingerprint: position.fingerprint.as_deref(),
    };
    Ok(match judge(&stream, &remembered, at_cursor.as_deref()) {
        Ok(()) => Verified::Ready(stream.last_seq),
        Err(mismatch) => Verified::Mismatch(mismatch, stream),
    })
}

/// Whether the settings let a lane continue after `mismatch` without an operator.
pub(super) const fn is_accepted(context: &Context, mismatch: Mismatch) -> bool {
    match mismatch.remedy() {
        Remedy::Settings => false,
        Remedy::Reset => context.policy.resets,
        Remedy::AcceptGap => context.policy.accepts_gaps,
    }
}

/// Continues after `mismatch`. Returns false when another worker has the lane.
pub(super) async fn accept(
    context: &Context,
    position: &mut LanePosition,
    mismatch: Mismatch,
    stream: &StreamState,
) -> Result<bool> {
    let mut transaction = context.pool.begin().await?;
    if matches!(position.lock(&mut transaction).await?, Locked::Lost) {
        return Ok(false);
    }
    let to = restart(mismatch, stream);
    lanes::restart(&mut transaction, position.key, to).await?;
    transaction.commit().await?;

    tracing::warn!(lane = %position.key, from = position.cursor, to = to.cursor, "goes on by its settings");
    position.cursor = to.cursor;
    position.fingerprint = None;
    position.stream_created_at = to.stream_created_at;
    Ok(true)
}

/// Logs and counts a mismatch.
pub(super) fn report(position: &LanePosition, mismatch: Mismatch) {
    let stream = position.key.stream.name();
    let kind = mismatch.kind();
    metrics::counter!("ingest_cursor_mismatches_total", "stream" => stream, "kind" => kind)
        .increment(1);
    if let Mismatch::Gap { from, to } = mismatch {
        let lane = position.key.lane.to_string();
        metrics::counter!("ingest_gap_messages_total", "stream" => stream, "lane" => lane)
            .increment(to - from + 1);
    }
    tracing::error!(lane = %position.key, cursor = position.cursor, kind, advice = mismatch.advice(), "{mismatch}");
}

/// Where a lane continues after `mismatch`: at the start of the stream, for the messages before it are gone.
pub(crate) fn restart(mismatch: Mismatch, stream: &StreamState) -> Restart {
    Restart {
        kind: mismatch.kind(),
        cursor: stream.first_seq.saturating_sub(1),
        reuses_sequences: matches!(
            mismatch,
            Mismatch::TailLost { .. } | Mismatch::OtherMessage { .. }
        ),
        stream_created_at: stream.created_at,
    }
}
