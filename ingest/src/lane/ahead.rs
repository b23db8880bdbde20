//! What comes while a batch is committed: it is read and parsed, so that the next batch is ready when this one ends.
//!
//! Owns: the messages behind the pending ones. Must not know: what is done with them, the database.

use super::gathered::Gathered;
use crate::context::Context;
use crate::intake::Intake;
use crate::reader::LaneId;
use tiris_store::error::{Error, Result};

/// Bytes that are read ahead, those of a usual batch: every lane of a pod holds as much besides its batch, and in parsed
/// form several times as much.
const BYTES_MAX: usize = 512 * 1024;
/// Bytes parsed before the transaction under way, which holds locks, goes on with what the database has answered.
const PARSED_AT_ONCE: usize = 32 * 1024;

/// What was read ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    gathered: Gathered,
    /// Why nothing more can be read.
    failed: Option<Error>,
}

impl Ahead {
    pub(super) fn messages(&self) -> &Gathered {
        &self.gathered
    }

    /// Forgets everything, because it will come again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Runs `work`, and reads meanwhile.
    pub(super) async fn during<T>(
        &mut self,
        work: impl Future<Output = T>,
        intake: &mut Intake,
        context: &Context,
        id: LaneId,
    ) -> T {
        let reading = async {
            let mut paused_at = 0;
            while intake.is_open() && !self.is_full(context) && self.failed.is_none() {
                match intake.next_message().await {
                    Ok(message) => self.gathered.push(message, id, context.bare_subjects),
                    Err(error) => self.failed = Some(error),
                }
                if self.gathered.bytes() >= paused_at + PARSED_AT_ONCE {
                    paused_at = self.gathered.bytes();
                    tokio::task::yield_now().await;
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            biased;
            result = work => result,
            never = reading => never,
        }
    }

    fn is_full(&self, context: &Context) -> bool {
        self.gathered.len() >= context.batch_events || self.gathered.bytes() >= BYTES_MAX
    }

    /// The next batch: what was read ahead and what is there besides, else what comes in time. What was read before
    /// reading failed is still given.
    pub(super) async fn next_batch(
        &mut self,
        intake: &mut Intake,
        context: &Context,
        id: LaneId,
    ) -> Result<Gathered> {
        let is_whole = self.gathered.len() >= context.batch_events || self.failed.is_some();
        if is_whole && !self.gathered.is_empty() {
            return Ok(std::mem::take(&mut self.gathered));
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let more = intake
            .next(context, id, self.gathered.len(), self.gathered.bytes())
            .await?;
        let mut batch = std::mem::take(&mut self.gathered);
        for message in more {
            batch.push(message, id, context.bare_subjects);
        }
        Ok(batch)
    }
}
