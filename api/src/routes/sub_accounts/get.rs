//! `GET /v1/sub-accounts/{id}`

use super::object::SubAccount;
use crate::routes::prelude::*;
use tiris_domain::ids::AccountId;
use tiris_store::sub_accounts;

/// Get a sub-account.
pub(crate) struct GetSubAccount;

impl Policy for GetSubAccount {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND];
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl GetSubAccount {
    /// One sub-account
    #[oai(path = "/:id", method = "get", operation_id = "getSubAccount")]
    async fn get(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
    ) -> Answer<SubAccount, Self> {
        let row = sub_accounts::get(&state.pool, caller.user(), AccountId(id.0)).await?;

        Ok(Reply::read(SubAccount::try_from(row)?))
    }
}
