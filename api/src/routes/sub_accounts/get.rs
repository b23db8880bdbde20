//! `GET /v1/sub-accounts/{id}`

use super::object::SubAccount;
use crate::routes::prelude::*;
use tiris_store::sub_accounts;

operation!(GetSubAccount: User, General, [INVALID, NOT_FOUND]);

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl GetSubAccount {
    /// Get a sub-account
    ///
    /// Returns the current balance with its locked and available parts. Send the `ETag` of the response as `If-Match`
    /// to update exactly this version.
    #[oai(path = "/:id", method = "get", operation_id = "getSubAccount")]
    async fn get(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the sub-account, from `GET /v1/sub-accounts`
        id: Path<Uuid>,
    ) -> Answer<SubAccount, Self> {
        let row = sub_accounts::get(&state.pool, caller.user(), AccountId(id.0)).await?;

        Ok(Reply::read(SubAccount::try_from(row)?))
    }
}
