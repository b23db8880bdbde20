//! Whether the lane may read: it is ours, the position is the database's, and the stream is the one it belongs to.
//!
//! Owns: the proof before a reader is opened, and the cursor of an idle lane. Must not know: what a message says.

use super::{Lane, Step, from_column, lane_column, to_column};
use crate::identity::{self, Mismatch, Position, Remedy, StreamState};
use crate::status::Lag;
use crate::{reader, single};
use tiris_store::error::Result;
use tiris_store::lanes::{self, Restart};

impl Lane {
    /// Moves the cursor of a lane that has done all there is to the end of the stream, so that retention never seems to
    /// have overtaken it; answers whether the lane is still ours.
    ///
    /// The end is the one read at the look before, so that nothing which came since is passed over, not even when the
    /// broker's node that serves this lane learns of messages later than the one that told the end.
    pub(super) async fn move_idle(&mut self) -> Result<bool> {
        let connection = &self.context.connection;
        let (stream, _) = reader::look_at(connection, self.id.stream, 0).await?;
        let end = std::mem::replace(&mut self.end, stream.last_seq);
        if stream.created_at != self.stream_created_at || stream.lanes != Some(self.context.lanes) {
            // The proof before the next reader tells what it is.
            self.intake.close();
            return Ok(true);
        }
        if end <= self.cursor || !self.intake.is_drained(&self.context).await? {
            return Ok(true);
        }
        let last = single::message_at(connection, self.id.stream, end).await?;
        let fingerprint = last.map(|message| message.fingerprint());
        let mut transaction = self.context.pool.begin().await?;
        let (name, lane) = (self.id.stream.name(), lane_column(self.id));
        let state = match lanes::lock(&mut transaction, name, lane).await? {
            Some(state) if self.owns(&state) => state,
            Some(_) | None => return Ok(false),
        };
        if from_column(state.cursor) != self.cursor {
            self.resume_at(&state);
            return Ok(true);
        }
        let to = lanes::Move {
            cursor: to_column(end),
            fingerprint: fingerprint.as_deref(),
            events: 0,
            booked_at: None,
        };
        lanes::move_cursor(&mut transaction, name, lane, to, self.context.lease).await?;
        transaction.commit().await?;
        metrics::counter!("ingest_idle_moves_total", "stream" => name).increment(1);
        self.cursor = end;
        self.fingerprint = fingerprint;
        Ok(true)
    }

    /// Before a reader is opened: the lane is ours, the position is the database's, and the stream is the one it
    /// belongs to.
    pub(super) async fn prove(&mut self) -> Result<Option<Step>> {
        let stored = lanes::find(
            &self.context.pool,
            self.id.stream.name(),
            lane_column(self.id),
        )
        .await?;
        match stored {
            Some(state) if self.owns(&state) => self.go_to(&state),
            Some(_) | None => return Ok(Some(Step::Lost)),
        }
        let (stream, at_cursor) =
            reader::look_at(&self.context.connection, self.id.stream, self.cursor).await?;
        let position = Position {
            lanes: self.context.lanes,
            stream_created_at: self.stream_created_at,
            cursor: self.cursor,
            fingerprint: self.fingerprint.as_deref(),
        };
        let Err(mismatch) = identity::judge(&stream, &position, at_cursor.as_deref()) else {
            self.halted = None;
            self.set_bound(stream.last_seq);
            return Ok(None);
        };
        self.tell(mismatch);
        let policy = self.context.policy;
        let goes_on = match mismatch.remedy() {
            Remedy::Settings => false,
            Remedy::Reset => policy.resets,
            Remedy::AcceptGap => policy.accepts_gaps,
        };
        if goes_on {
            return self.go_on(mismatch, &stream).await;
        }
        self.set_bound(stream.last_seq);
        Ok(Some(Step::Halted(mismatch)))
    }

    /// Tells a mismatch once, however often it is found again.
    fn tell(&mut self, mismatch: Mismatch) {
        if self.halted.replace(mismatch) == Some(mismatch) {
            return;
        }
        let (stream, kind) = (self.id.stream.name(), mismatch.kind());
        metrics::counter!("ingest_cursor_mismatches_total", "stream" => stream, "kind" => kind)
            .increment(1);
        if let Mismatch::Gap { from, to } = mismatch {
            let lane = self.id.lane.to_string();
            metrics::counter!("ingest_gap_messages_total", "stream" => stream, "lane" => lane)
                .increment(to - from + 1);
        }
        tracing::error!(lane = %self.id, cursor = self.cursor, kind, advice = mismatch.advice(), "{mismatch}");
    }

    /// Goes on without a person, because the settings say so; answers with a step when the lane is not ours any more.
    async fn go_on(&mut self, mismatch: Mismatch, stream: &StreamState) -> Result<Option<Step>> {
        let (name, lane) = (self.id.stream.name(), lane_column(self.id));
        let mut transaction = self.context.pool.begin().await?;
        let state = lanes::lock(&mut transaction, name, lane).await?;
        if !state.is_some_and(|state| self.owns(&state)) {
            return Ok(Some(Step::Lost));
        }
        let to = restart(mismatch, stream);
        lanes::restart(&mut transaction, name, lane, to).await?;
        transaction.commit().await?;
        tracing::warn!(lane = %self.id, from = self.cursor, to = to.cursor, "goes on by its settings");
        self.cursor = from_column(to.cursor);
        self.fingerprint = None;
        self.stream_created_at = to.stream_created_at;
        self.halted = None;
        self.set_bound(stream.last_seq);
        Ok(None)
    }

    /// Without a consumer nothing better is known.
    fn set_bound(&self, last_seq: u64) {
        let messages = Some(last_seq.saturating_sub(self.cursor));
        self.context.board.set_lag(
            self.id,
            Lag {
                messages,
                exact: messages == Some(0),
                oldest: None,
            },
        );
    }
}

/// Where a lane goes on after `mismatch`: at the start of the stream, for the messages before it are gone.
pub(crate) fn restart(mismatch: Mismatch, stream: &StreamState) -> Restart {
    let cursor = to_column(stream.first_seq.saturating_sub(1));
    let reuses_sequences = matches!(
        mismatch,
        Mismatch::TailLost { .. } | Mismatch::OtherMessage { .. }
    );
    Restart {
        kind: mismatch.kind(),
        cursor,
        reuses_sequences,
        stream_created_at: stream.created_at,
    }
}
