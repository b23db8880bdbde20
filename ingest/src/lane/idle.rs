//! Moves the cursor of a lane that has done all there is to the end of the stream, so that retention never seems to have
//! overtaken it.

use super::position::{LanePosition, Locked};
use super::source::Source;
use crate::context::Context;
use crate::stream::{message_at, state_of};
use std::time::Instant;
use tiris_store::error::Result;
use tiris_store::lanes::{self, LaneState};

/// When the end of the stream was last read while nothing came, and where it was.
#[derive(Debug)]
pub(super) struct Idle {
    looked: Instant,
    end: u64,
}

impl Default for Idle {
    fn default() -> Self {
        Self {
            looked: Instant::now(),
            end: 0,
        }
    }
}

/// What became of an idle lane.
pub(super) enum IdleMove {
    /// Its cursor is at the end of the stream, as far as that is known.
    Done,
    /// The database has its cursor elsewhere.
    Moved(LaneState),
    /// Another worker has it.
    Lost,
}

impl Idle {
    /// Moves the cursor when it is time.
    pub(super) async fn advance(
        &mut self,
        context: &Context,
        position: &mut LanePosition,
        source: &mut Source,
    ) -> Result<IdleMove> {
        if self.looked.elapsed() < context.idle_move {
            return Ok(IdleMove::Done);
        }
        self.looked = Instant::now();

        let key = position.key;
        let stream = state_of(&context.connection, key.stream).await?;
        // The end is the one read at the look before, so that nothing which came since is passed over, not even when the
        // broker's node that serves this lane learns of messages later than the one that reported the end.
        let end = std::mem::replace(&mut self.end, stream.last_seq);
        if stream.created_at != position.stream_created_at || stream.lanes != Some(context.lanes) {
            // The check before the next reader says what it is.
            source.close();
            return Ok(IdleMove::Done);
        }
        if end <= position.cursor || !source.is_drained().await? {
            return Ok(IdleMove::Done);
        }

        let last = message_at(&context.connection, key.stream, end).await?;
        let fingerprint = last.map(|message| message.fingerprint());
        let mut transaction = context.pool.begin().await?;
        match position.lock(&mut transaction).await? {
            Locked::Ours => {}
            Locked::Moved(state) => return Ok(IdleMove::Moved(state)),
            Locked::Lost => return Ok(IdleMove::Lost),
        }
        let to = lanes::Move {
            cursor: end,
            fingerprint: fingerprint.as_deref(),
            events: 0,
            booked_at: None,
        };
        lanes::move_cursor(&mut transaction, key, to, context.lease).await?;
        transaction.commit().await?;

        metrics::counter!("ingest_idle_moves_total", "stream" => key.stream.name()).increment(1);
        position.cursor = end;
        position.fingerprint = fingerprint;
        Ok(IdleMove::Done)
    }
}
