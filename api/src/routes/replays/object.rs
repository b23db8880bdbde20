//! Replays of a time range as answers show them.

use crate::http::field::Field;
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::Serialize;
use tiris_domain::states::ReplayStatus;
use tiris_store::error::{Error, Result};
use tiris_store::replay_jobs::Job;
use uuid::Uuid;

/// A replay and how far it is.
#[derive(Object, Serialize)]
pub(super) struct ReplayJob {
    id: Uuid,
    start_time: DateTime<Utc>,
    end_time: DateTime<Utc>,
    #[oai(nullable)]
    user_id: Option<Uuid>,
    /// Null means all
    #[oai(nullable)]
    event_types: Option<Vec<String>>,
    status: Field<ReplayStatus>,
    /// Why it failed, or what it waits for
    #[oai(nullable)]
    reason: Option<String>,
    /// Parts of the range that were gone
    remarks: Vec<String>,
    /// Messages of both streams read so far
    messages_read: u64,
    /// Messages of both streams in the range, as far as it was found
    messages: u64,
    /// Events that were missing or dead and are in the books now
    applied: i64,
    /// Events that were done before; heartbeats among them
    duplicate: i64,
    /// Events that are still no part of the books: they are dead letters
    rejected: i64,
    created_at: DateTime<Utc>,
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
