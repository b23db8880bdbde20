//! Moves the cursor of an idle lane to the end of the stream, so that retention never seems to have overtaken it.

use super::position::{Interrupt, LanePosition};
use super::source::Source;
use crate::context::Context;
use crate::stream::{message_at, state_of};
use std::time::Instant;
use tiris_store::lanes;

/// The end of the stream, as read at the last check.
#[derive(Debug)]
pub(super) struct Idle {
    checked: Instant,
    end: u64,
}

impl Default for Idle {
    fn default() -> Self {
        Self {
            checked: Instant::now(),
            end: 0,
        }
    }
}

impl Idle {
    /// Moves the cursor when it is time and the lane has read all its messages.
    pub(super) async fn advance(
        &mut self,
        context: &Context,
        position: &mut LanePosition,
        source: &mut Source,
    ) -> Result<(), Interrupt> {
        if self.checked.elapsed() < context.idle_move {
            return Ok(());
        }
        self.checked = Instant::now();

        let key = position.key;
        let stream = state_of(&context.connection, key.stream).await?;
        // The end read at the previous check, so that no later message is skipped, even when the broker node that serves
        // this lane learns of messages later than the one that reported the end.
        let end = std::mem::replace(&mut self.end, stream.last_seq);
        if stream.created_at != position.state.stream_created_at
            || stream.lanes != Some(context.lanes)
        {
            // The verification before the next reader determines the mismatch.
            source.close();
            return Ok(());
        }
        if end <= position.state.cursor || !source.is_drained().await? {
            return Ok(());
        }

        let last = message_at(&context.connection, key.stream, end).await?;
        let fingerprint = last.map(|message| message.fingerprint());
        let mut transaction = context.pool.begin().await?;
        position.lock_at_cursor(&mut transaction).await?;
        let to = lanes::Move {
            cursor: end,
            fingerprint: fingerprint.as_deref(),
            events: 0,
            booked_at: None,
        };
        lanes::move_cursor(&mut transaction, key, to, context.lease).await?;
        transaction.commit().await?;

        metrics::counter!("ingest_idle_moves_total", "stream" => key.stream.name()).increment(1);
        position.state.cursor = end;
        position.state.fingerprint = fingerprint;
        Ok(())
    }
}
