//! `GET /v1/events/replay/{id}`

use super::object::ReplayJob;
use crate::routes::prelude::*;
use tiris_store::replay_jobs;

/// Get a replay.
pub(crate) struct GetReplay;

impl Policy for GetReplay {
    const ACCESS: Access = Access::Admin;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND];
}

#[OpenApi(prefix_path = "/v1/events/replay", tag = "Tag::Events")]
impl GetReplay {
    /// How far a replay is (admins)
    #[oai(path = "/:id", method = "get", operation_id = "getReplay")]
    async fn get(
        &self,
        _caller: Caller<Self>,
        state: Data<&State>,
        /// The replay
        id: Path<Uuid>,
    ) -> Answer<ReplayJob, Self> {
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        let job = replay_jobs::get(&mut connection, id.0).await?;

        Ok(Reply::read(ReplayJob::try_from(job)?))
    }
}
