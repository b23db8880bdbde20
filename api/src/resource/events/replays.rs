//! Replays of a time range: asked for here, done by ingest.

use crate::auth::Admin;
use crate::body::JsonBody;
use crate::envelope::{Answer, Made, Reply};
use crate::fields::{Fields, FromFields, required};
use crate::ledger::Work;
use crate::once::Once;
use crate::resource::refusals::{AdminListing, AdminMany, AdminRead};
use crate::resource::{EXAMPLE_ID, Tag, stored};
use crate::state::State;
use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, OpenApi};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use tiris_domain::event::Kind;
use tiris_domain::ids::UserId;
use tiris_domain::states::State as _;
use tiris_store::audit::{self, Action};
use tiris_store::error::{Error, Result};
use tiris_store::replay_jobs::{self, Job, NewJob};
use uuid::Uuid;

/// Operations on replays.
pub(crate) struct Replays;

/// Replays a list shows.
const LISTED_MAX: u32 = 100;

/// Whether a replay has come to its end.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum ReplayStatus {
    Queued,
    Running,
    Done,
    Failed,
}

/// A range of time to be read again: what is missing or dead is applied, what is done is passed over.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
struct NewReplay {
    /// Messages the broker took at this moment or later
    start_time: DateTime<Utc>,
    /// Messages the broker took before this moment
    end_time: DateTime<Utc>,
    /// Only this user's events
    user_id: Option<Uuid>,
    /// Only events of these types, such as `trading.orders.filled`
    #[oai(validator(min_items = 1, max_items = 10))]
    event_types: Option<Vec<String>>,
}

impl Example for NewReplay {
    fn example() -> Self {
        Self {
            start_time: DateTime::UNIX_EPOCH + chrono::Duration::days(20_454),
            end_time: DateTime::UNIX_EPOCH + chrono::Duration::days(20_455),
            user_id: Some(EXAMPLE_ID),
            event_types: Some(vec![Kind::OrderFilled.bare_subject().to_owned()]),
        }
    }
}

impl FromFields for NewReplay {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            start_time: required("start_time", fields.time("start_time")?)?,
            end_time: required("end_time", fields.time("end_time")?)?,
            user_id: fields.uuid("user_id")?,
            event_types: fields.texts("event_types", Kind::ALL.len())?,
        })
    }

    /// A condition that is ignored would select more than was meant.
    fn refuses_unknown(&self) -> bool {
        true
    }
}

fn kinds(types: &[String]) -> Result<Vec<Kind>> {
    let known = || Kind::ALL.map(Kind::bare_subject).join(", ");
    let kind = |name: &String| {
        let shown: String = name.chars().take(60).collect();
        let unknown = || {
            Error::invalid(
                "event_types",
                format!("must be of {} (given: {shown:?})", known()),
            )
        };
        Kind::of_bare_subject(name).ok_or_else(unknown)
    };
    types.iter().map(kind).collect()
}

/// A replay and how far it is.
#[derive(Object, Serialize)]
struct ReplayJob {
    id: Uuid,
    start_time: DateTime<Utc>,
    end_time: DateTime<Utc>,
    #[oai(nullable)]
    user_id: Option<Uuid>,
    /// Null means all
    #[oai(nullable)]
    event_types: Option<Vec<String>>,
    status: ReplayStatus,
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

impl ReplayJob {
    fn from_job(job: Job) -> Result<Self> {
        let (messages_read, messages) = job.position();
        Ok(Self {
            id: job.id,
            start_time: job.start_time,
            end_time: job.end_time,
            user_id: job.user_id,
            event_types: job.event_types,
            status: stored(job.status.as_str())?,
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

/// The newest replays.
#[derive(Object, Serialize)]
struct ReplayList {
    replays: Vec<ReplayJob>,
}

#[OpenApi(prefix_path = "/v1/events/replay", tag = "Tag::Events")]
impl Replays {
    /// Read a range of time again (admins); ingest begins within seconds, and it survives whatever dies
    #[oai(path = "/", method = "post", operation_id = "replayEvents")]
    async fn create(
        &self,
        admin: Admin,
        state: Data<&State>,
        once: Once,
        body: JsonBody<NewReplay>,
    ) -> Made<ReplayJob, AdminMany> {
        let asked = body.0;
        let new = NewJob {
            requested_by: Some(admin.user()),
            start_time: asked.start_time,
            end_time: asked.end_time,
            user: asked.user_id.map(UserId),
            kinds: asked.event_types.as_deref().map(kinds).transpose()?,
        };
        Ok(once
            .commit(&state, admin.user(), &CreateWork { admin: &admin, new })
            .await?)
    }

    /// The newest replays (admins), at most 100
    #[oai(path = "/", method = "get", operation_id = "listReplays")]
    async fn list(&self, _admin: Admin, state: Data<&State>) -> Answer<ReplayList, AdminListing> {
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        let jobs = replay_jobs::list(&mut connection, LISTED_MAX).await?;
        let replays = jobs
            .into_iter()
            .map(ReplayJob::from_job)
            .collect::<Result<_>>()?;
        Ok(Reply::new(ReplayList { replays }))
    }

    /// How far a replay is (admins)
    #[oai(path = "/:id", method = "get", operation_id = "getReplay")]
    async fn get(
        &self,
        _admin: Admin,
        state: Data<&State>,
        /// The replay
        id: Path<Uuid>,
    ) -> Answer<ReplayJob, AdminRead> {
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        Ok(Reply::new(ReplayJob::from_job(
            replay_jobs::get(&mut connection, id.0).await?,
        )?))
    }
}

struct CreateWork<'a> {
    admin: &'a Admin,
    new: NewJob,
}

impl Work for CreateWork<'_> {
    type Output = ReplayJob;

    async fn run(&self, connection: &mut PgConnection) -> Result<ReplayJob> {
        let job = replay_jobs::create(connection, &self.new).await?;
        let after = json!({"start_time": job.start_time, "end_time": job.end_time,
                           "user_id": job.user_id, "event_types": job.event_types});
        let id = Some(job.id.to_string());
        let action = Action {
            name: "events.replay",
            resource: "replay",
            id,
            before: None,
            after: Some(after),
        };
        audit::record(connection, self.admin.actor(), &action).await?;
        ReplayJob::from_job(job)
    }
}
