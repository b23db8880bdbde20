//! `GET /v1/events/replay`

use super::object::ReplayJob;
use crate::routes::prelude::*;
use tiris_store::replay_jobs;

/// Replays a list shows.
const LISTED_MAX: u32 = 100;

/// List the newest replays.
pub(crate) struct ListReplays;

impl Policy for ListReplays {
    const ACCESS: Access = Access::Admin;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[];
}

/// The newest replays.
#[derive(Object, Serialize)]
struct ReplayList {
    replays: Vec<ReplayJob>,
}

#[OpenApi(prefix_path = "/v1/events/replay", tag = "Tag::Events")]
impl ListReplays {
    /// The newest replays (admins), at most 100
    #[oai(path = "/", method = "get", operation_id = "listReplays")]
    async fn list(&self, _caller: Caller<Self>, state: Data<&State>) -> Answer<ReplayList, Self> {
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        let jobs = replay_jobs::list(&mut connection, LISTED_MAX).await?;

        let replays = jobs.into_iter().map(ReplayJob::try_from);
        Ok(Reply::read(ReplayList {
            replays: replays.collect::<Result<_>>()?,
        }))
    }
}
