//! `GET /v1/events/dead-letters/{id}`

use super::object::DeadLetter;
use super::visible;
use crate::routes::prelude::*;
use sea_orm::{EntityTrait, QueryFilter};
use tiris_store::entity::dead_letters::Entity;

/// Get a dead letter.
pub(crate) struct GetDeadLetter;

impl Policy for GetDeadLetter {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND];
}

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::Events")]
impl GetDeadLetter {
    /// One dead letter
    #[oai(path = "/:id", method = "get", operation_id = "getDeadLetter")]
    async fn get(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The letter
        id: Path<Uuid>,
    ) -> Answer<DeadLetter, Self> {
        let row = Entity::find_by_id(id.0)
            .filter(visible(&caller))
            .one(&state.db)
            .await
            .map_err(Error::from)?;

        let row = row.ok_or(Error::NotFound("dead letter"))?;
        Ok(Reply::read(DeadLetter::from_row(row, caller.is_admin())?))
    }
}
