//! `GET /v1/events/dead-letters/{id}`

use super::object::DeadLetter;
use super::visible;
use crate::routes::prelude::*;
use tiris_store::entity::dead_letters::Entity;

operation!(GetDeadLetter: User, General, [INVALID, NOT_FOUND]);

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::Events")]
impl GetDeadLetter {
    /// Get a dead letter
    ///
    /// Returns the failed event with its whole payload and the reason of the failure. Users see their own dead letters,
    /// admins all.
    #[oai(path = "/:id", method = "get", operation_id = "getDeadLetter")]
    async fn get(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the dead letter, from `GET /v1/events/dead-letters`
        id: Path<Uuid>,
    ) -> Answer<DeadLetter, Self> {
        // Escaped, a payload may need six times its size.
        let mut answer = state.answers.begin(caller.user());
        answer.enlarge().await?;
        let row = Entity::find_by_id(id.0)
            .filter(visible(&caller))
            .one(&state.db)
            .await
            .map_err(Error::from)?;

        let row = row.ok_or(Error::NotFound("dead letter"))?;
        if row.user_id != Some(caller.user().0) {
            caller.record_read(&state).await?;
        }
        let letter = DeadLetter::from_row(row, caller.is_admin())?;
        Ok(Reply::list(letter, answer))
    }
}
