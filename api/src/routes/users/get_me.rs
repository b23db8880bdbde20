//! `GET /v1/users/me`

use super::object::User;
use crate::routes::prelude::*;
use tiris_store::users;

/// Get the current user.
pub(crate) struct GetMe;

impl Policy for GetMe {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[];
}

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl GetMe {
    /// Who is signed in
    #[oai(path = "/me", method = "get", operation_id = "getMe")]
    async fn get(&self, caller: Caller<Self>, state: Data<&State>) -> Answer<User, Self> {
        let row = users::get(&state.pool, caller.user()).await?;

        Ok(Reply::read(User::try_from(row)?))
    }
}
