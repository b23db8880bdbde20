//! The position of a lane, and the check that this worker may still write there.

use crate::stream::Message;
use sqlx::PgConnection;
use tiris_domain::lane::LaneKey;
use tiris_store::error::{Error, Result};
use tiris_store::lanes::{self, LaneState};

/// Why the work on a lane stops without a commit.
#[derive(Debug)]
pub(super) enum Interrupt {
    /// Another worker owns the lane.
    Lost,
    /// The stored cursor differs from ours.
    Moved(LaneState),
    /// NATS or the database failed.
    Failed(Error),
}

impl Interrupt {
    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

impl<E: Into<Error>> From<E> for Interrupt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A lane of this worker, with its state as this worker knows it.
#[derive(Debug)]
pub(super) struct LanePosition {
    pub(super) key: LaneKey,
    pub(super) state: LaneState,
}

impl LanePosition {
    pub(super) fn owns(&self, stored: &LaneState) -> bool {
        stored.epoch == self.state.epoch && stored.owner == self.state.owner
    }

    /// Locks the lane's row until the transaction ends. Returns its state.
    pub(super) async fn lock(
        &self,
        transaction: &mut PgConnection,
    ) -> Result<LaneState, Interrupt> {
        let stored = lanes::lock(transaction, self.key).await?;
        stored
            .filter(|stored| self.owns(stored))
            .ok_or(Interrupt::Lost)
    }

    /// Like [`Self::lock`], and fails when the stored cursor differs from ours.
    pub(super) async fn lock_at_cursor(
        &self,
        transaction: &mut PgConnection,
    ) -> Result<(), Interrupt> {
        let stored = self.lock(transaction).await?;
        if stored.cursor != self.state.cursor {
            return Err(Interrupt::Moved(stored));
        }
        Ok(())
    }

    /// Moves past `message`, which is committed.
    pub(super) fn advance(&mut self, message: &Message) {
        self.state.cursor = message.stream_seq;
        self.state.fingerprint = Some(message.fingerprint());
    }
}
