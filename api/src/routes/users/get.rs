//! `GET /v1/users/{id}`

use super::object::User;
use crate::routes::prelude::*;
use tiris_domain::ids::UserId;
use tiris_store::users;

/// Get a user, for admins.
pub(crate) struct GetUser;

impl Policy for GetUser {
    const ACCESS: Access = Access::Admin;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND];
}

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl GetUser {
    /// One user (admins)
    #[oai(path = "/:id", method = "get", operation_id = "getUser")]
    async fn get(
        &self,
        _admin: Caller<Self>,
        state: Data<&State>,
        /// The user
        id: Path<Uuid>,
    ) -> Answer<User, Self> {
        let row = users::get(&state.pool, UserId(id.0)).await?;

        Ok(Reply::read(User::try_from(row)?))
    }
}
