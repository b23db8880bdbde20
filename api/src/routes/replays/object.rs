//! The replay in responses.

use crate::routes::prelude::*;
use tiris_domain::states::ReplayStatus;
use tiris_store::replay_jobs::Job;

/// A replay of a time range with its progress.
#[derive(Object, Serialize)]
pub(super) struct ReplayJob {
    /// Id of the replay
    id: Uuid,
    /// Start of the range by the broker's clock, inclusive
    start_time: DateTime<Utc>,
    /// End of the range by the broker's clock, exclusive
    end_time: DateTime<Utc>,
    /// Only events of this user; null for all users
    #[oai(nullable)]
    user_id: Option<Uuid>,
    /// Only events of these types; null for all types
    #[oai(nullable)]
    event_types: Option<Vec<String>>,
    /// `queued`, `running`, `done` or `failed`; the last two are final
    status: Field<ReplayStatus>,
    /// Reason of a failure or a delay
    #[oai(nullable)]
    reason: Option<String>,
    /// Parts of the range that the streams no longer have
    remarks: Vec<String>,
    /// Messages of both streams read so far
    messages_read: u64,
    /// Messages of both streams in the range, as far as it is known
    messages: u64,
    /// Missing events and dead letters that the replay has applied
    applied: i64,
    /// Events that had been applied before, heartbeats included
    duplicate: i64,
    /// Events that still fail and are dead letters
    rejected: i64,
    /// When the replay was requested
    created_at: DateTime<Utc>,
    /// When its progress was last stored
    updated_at: DateTime<Utc>,
}

impl TryFrom<Job> for ReplayJob {
    type Error = Error;

    fn try_from(job: Job) -> Result<Self> {
        let (messages_read, messages) = job.position();

        Ok(Self {
            id: job.id,
            start_time: job.start_time,
            end_time: job.end_time,
            user_id: job.user_id,
            event_types: job.event_types,
            status: Field(job.status),
            reason: job.reason,
            remarks: job.remarks.0,
            messages_read,
            messages,
            applied: job.applied,
            duplicate: job.duplicate,
            rejected: job.rejected,
            created_at: job.created_at,
            updated_at: job.updated_at,
        })
    }
}
