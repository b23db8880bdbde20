//! Verifies before a lane reads that this worker owns it, and that its position belongs to the stream.

use super::position::{Interrupt, LanePosition};
use crate::context::Context;
use crate::stream::{Mismatch, Remedy, StreamState, compare};
use tiris_store::lanes::{self, Restart};

/// Adopts the stored position and compares it with the stream.
pub(super) async fn verify(
    context: &Context,
    position: &mut LanePosition,
) -> Result<(StreamState, Option<Mismatch>), Interrupt> {
    let stored = lanes::find(&context.pool, position.key).await?;
    let stored = stored.filter(|stored| position.owns(stored));
    position.state = stored.ok_or(Interrupt::Lost)?;

    let lanes = context.lanes;
    Ok(compare(
        &context.connection,
        position.key.stream,
        lanes,
        &position.state,
    )
    .await?)
}

/// Returns whether the settings let a lane continue after `mismatch` without an operator.
pub(super) const fn is_accepted(context: &Context, mismatch: Mismatch) -> bool {
    match mismatch.remedy() {
        Remedy::Settings => false,
        Remedy::Reset => context.policy.resets,
        Remedy::AcceptGap => context.policy.accepts_gaps,
    }
}

/// Moves the cursor to where the lane continues after `mismatch`.
pub(super) async fn accept(
    context: &Context,
    position: &mut LanePosition,
    mismatch: Mismatch,
    stream: &StreamState,
) -> Result<(), Interrupt> {
    let to = restart(mismatch, stream);
    let mut transaction = context.pool.begin().await?;
    position.lock(&mut transaction).await?;
    lanes::restart(&mut transaction, position.key, to).await?;
    transaction.commit().await?;

    tracing::warn!(lane = %position.key, from = position.state.cursor, to = to.cursor, "lane continues as its settings allow");
    position.state.cursor = to.cursor;
    position.state.fingerprint = None;
    position.state.stream_created_at = to.stream_created_at;
    Ok(())
}

/// Logs and counts a mismatch, with which the lane halts unless it is accepted.
pub(super) fn report(position: &LanePosition, mismatch: Mismatch, is_accepted: bool) {
    let stream = position.key.stream.name();
    let kind = mismatch.kind();
    metrics::counter!("ingest_cursor_mismatches_total", "stream" => stream, "kind" => kind)
        .increment(1);
    if let Mismatch::Gap { from, to } = mismatch {
        let lane = position.key.lane.to_string();
        metrics::counter!("ingest_gap_messages_total", "stream" => stream, "lane" => lane)
            .increment(to - from + 1);
    }
    let cursor = position.state.cursor;
    if is_accepted {
        tracing::error!(lane = %position.key, cursor, kind, "cursor and stream do not match: {mismatch}");
    } else {
        tracing::error!(lane = %position.key, cursor, kind, advice = mismatch.advice(), "lane halts: {mismatch}");
    }
}

/// Returns where a lane continues after `mismatch`: at the start of the stream, because earlier messages are gone.
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
