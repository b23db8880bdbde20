//! Whether the lane may read: it is ours, the position is the database's, and the stream is the one it belongs to.
//!
//! Owns: the proof before a reader is opened, and the cursor of an idle lane. Must not know: what a message says.

use super::{Lane, Step, from_column, lane_column, to_column};
use crate::identity::{self, Position};
use crate::{reader, single};
use tiris_shared::error::Result;
use tiris_shared::store::lanes;

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
        let same_stream = stream.created_at == self.stream_created_at;
        if !same_stream || end <= self.cursor || !self.intake.is_drained(&self.context).await? {
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
        let cursor = to_column(end);
        let lease = self.context.lease;
        lanes::move_cursor(&mut transaction, name, lane, cursor, fingerprint.as_deref(), lease).await?;
        transaction.commit().await?;
        self.cursor = end;
        self.fingerprint = fingerprint;
        Ok(true)
    }

    /// Before a reader is opened: the lane is ours, the position is the database's, and the stream is the one it
    /// belongs to.
    pub(super) async fn prove(&mut self) -> Result<Option<Step>> {
        let stored = lanes::find(&self.context.pool, self.id.stream.name(), lane_column(self.id)).await?;
        match stored {
            Some(state) if self.owns(&state) => self.go_to(&state),
            Some(_) | None => return Ok(Some(Step::Lost)),
        }
        let (stream, at_cursor) =
            reader::look_at(&self.context.connection, self.id.stream, self.cursor).await?;
        let position = Position {
            stream_created_at: self.stream_created_at,
            cursor: self.cursor,
            fingerprint: self.fingerprint.as_deref(),
        };
        if let Err(mismatch) = identity::judge(&stream, &position, at_cursor.as_deref()) {
            metrics::counter!("ingest_cursor_mismatches_total", "stream" => self.id.stream.name())
                .increment(1);
            return Ok(Some(Step::Halted(mismatch)));
        }
        Ok(None)
    }
}
