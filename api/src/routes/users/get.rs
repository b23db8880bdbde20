//! `GET /v1/users/me` and `GET /v1/users/{id}`

use super::object::User;
use crate::routes::prelude::*;
use tiris_store::users;

operation!(GetMe: User, General, []);

operation!(GetUser: Admin, General, [INVALID, NOT_FOUND]);

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl GetMe {
    /// Get the current user
    ///
    /// Returns the profile of the user the access token belongs to. A good first call to check a token.
    #[oai(path = "/me", method = "get", operation_id = "getMe")]
    async fn get(&self, caller: Caller<Self>, state: Data<&State>) -> Answer<User, Self> {
        let row = users::get(&state.pool, caller.user()).await?;

        Ok(Reply::read(User::try_from(row)?))
    }
}

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::AdminUsers")]
impl GetUser {
    /// Get a user
    ///
    /// Admins only. Returns any user by id, disabled and deleted ones included.
    #[oai(path = "/:id", method = "get", operation_id = "getUser")]
    async fn get(
        &self,
        _admin: Caller<Self>,
        state: Data<&State>,
        /// Id of the user, from `GET /v1/users`
        id: Path<Uuid>,
    ) -> Answer<User, Self> {
        let row = users::get(&state.pool, UserId(id.0)).await?;

        Ok(Reply::read(User::try_from(row)?))
    }
}
