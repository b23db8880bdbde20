//! `GET /v1/events/replay` and `GET /v1/events/replay/{id}`

use super::object::ReplayJob;
use crate::routes::prelude::*;
use tiris_store::replay_jobs;

operation!(ListReplays: Admin, General, [INVALID]);

operation!(GetReplay: Admin, General, [INVALID, NOT_FOUND]);

/// A page of replays.
#[derive(Object, Serialize)]
struct ReplayList {
    /// Replays, newest first
    replays: Listed<ReplayJob>,
    /// Position of the page in the list
    pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/events/replay", tag = "Tag::AdminReplays")]
impl ListReplays {
    /// List replays
    ///
    /// Admins only. Returns a page of replays with their progress, newest first.
    #[oai(path = "/", method = "get", operation_id = "listReplays")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Names of the fields to return of each object, separated by commas, such as `id,status`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
    ) -> Answer<ReplayList, Self> {
        let page = Page::new(limit.0, cursor.0.as_deref(), None, None)?;
        let chosen = Chosen::of::<ReplayJob>(fields.0.as_deref())?;
        let mut answer = state.answers.begin(caller.user());
        let _turn = answer.turn_for(page.limit()).await?;
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        let mut jobs = replay_jobs::list(&mut connection, page.after(), page.limit() + 1).await?;

        let pagination = page.cut(&mut jobs, |job| (job.created_at, job.id));
        let replays = jobs
            .into_iter()
            .map(|job| chosen.serialize(&ReplayJob::try_from(job)?))
            .collect::<Result<Vec<_>>>()?;
        let data = ReplayList {
            replays: replays.into(),
            pagination,
        };
        Ok(Reply::list(data, answer))
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
