//! `GET /v1/events/replay` and `GET /v1/events/replay/{id}`

use super::object::ReplayJob;
use crate::routes::prelude::*;
use tiris_store::replay_jobs;

/// Replays in a list.
const LISTED_MAX: u32 = 100;

operation!(ListReplays: Admin, General, []);

operation!(GetReplay: Admin, General, [INVALID, NOT_FOUND]);

/// The latest replays.
#[derive(Object, Serialize)]
struct ReplayList {
    /// Replays, newest first, at most 100
    replays: Vec<ReplayJob>,
}

#[OpenApi(prefix_path = "/v1/events/replay", tag = "Tag::AdminReplays")]
impl ListReplays {
    /// List the latest replays
    ///
    /// Admins only. Returns the latest 100 replays with their progress, newest first.
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

#[OpenApi(prefix_path = "/v1/events/replay", tag = "Tag::AdminReplays")]
impl GetReplay {
    /// Get the progress of a replay
    ///
    /// Admins only. Poll until `status` is final.
    #[oai(path = "/:id", method = "get", operation_id = "getReplay")]
    async fn get(
        &self,
        _caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the replay, from `GET /v1/events/replay`
        id: Path<Uuid>,
    ) -> Answer<ReplayJob, Self> {
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        let job = replay_jobs::get(&mut connection, id.0).await?;

        Ok(Reply::read(ReplayJob::try_from(job)?))
    }
}
