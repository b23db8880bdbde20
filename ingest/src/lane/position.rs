//! Where a lane is, and by which right this worker writes there.

use crate::stream::Message;
use sqlx::PgConnection;
use tiris_domain::lane::LaneKey;
use tiris_store::error::Result;
use tiris_store::lanes::{self, LaneState};
use uuid::Uuid;

/// Where a lane is, and by which right this worker writes there.
#[derive(Debug)]
pub(super) struct LanePosition {
    pub(super) key: LaneKey,
    owner: Uuid,
    pub(super) epoch: i64,
    /// Everything up to this stream sequence is done.
    pub(super) cursor: u64,
    pub(super) fingerprint: Option<Vec<u8>>,
    pub(super) stream_created_at: i64,
}

/// The lane's row under lock.
pub(super) enum Locked {
    /// It is ours, and at our cursor.
    Ours,
    /// It is ours, and its cursor was moved.
    Moved(LaneState),
    /// Another worker has it.
    Lost,
}

impl LanePosition {
    pub(super) fn new(key: LaneKey, owner: Uuid, state: &LaneState) -> Self {
        Self {
            key,
            owner,
            epoch: state.epoch,
            cursor: state.cursor,
            fingerprint: state.fingerprint.clone(),
            stream_created_at: state.stream_created_at,
        }
    }

    pub(super) fn owns(&self, state: &LaneState) -> bool {
        state.epoch == self.epoch && state.owner == Some(self.owner)
    }

    /// Locks the lane's row until the transaction ends.
    pub(super) async fn lock(&self, transaction: &mut PgConnection) -> Result<Locked> {
        Ok(match lanes::lock(transaction, self.key).await? {
            Some(state) if !self.owns(&state) => Locked::Lost,
            Some(state) if state.cursor != self.cursor => Locked::Moved(state),
            Some(_) => Locked::Ours,
            None => Locked::Lost,
        })
    }

    /// Goes where the database says that the lane is.
    pub(super) fn follow(&mut self, state: &LaneState) {
        self.cursor = state.cursor;
        self.fingerprint.clone_from(&state.fingerprint);
        self.stream_created_at = state.stream_created_at;
    }

    /// Goes behind `message`, which is done.
    pub(super) fn advance(&mut self, message: &Message) {
        self.cursor = message.stream_seq;
        self.fingerprint = Some(message.fingerprint());
    }
}
