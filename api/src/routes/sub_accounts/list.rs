//! `GET /v1/sub-accounts`

use super::object::SubAccount;
use crate::routes::prelude::*;
use tiris_store::entity::sub_accounts::{Column, Entity};

operation!(ListSubAccounts: User, General, [INVALID_FILTER]);

/// All sub-accounts that are not deleted.
#[derive(Object, Serialize)]
struct SubAccountList {
    /// Sub-accounts, newest first
    sub_accounts: Vec<SubAccount>,
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl ListSubAccounts {
    /// List the caller's sub-accounts
    ///
    /// Returns all sub-accounts that are not deleted, newest first, in one response without pages.
    #[oai(path = "/", method = "get", operation_id = "listSubAccounts")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only sub-accounts of this trading
        trading_id: Query<Option<Uuid>>,
        /// Only sub-accounts whose `info` contains this JSON object, URL-encoded
        info: Query<Option<String>>,
    ) -> Answer<SubAccountList, Self> {
        let rows = Entity::find()
            .filter(Column::UserId.eq(caller.user().0))
            .filter(Column::DeletedAt.is_null())
            .filter(equal(Column::TradingId, trading_id.0))
            .filter(containing(Column::Info, info.0.as_deref())?)
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .all(&state.db)
            .await
            .map_err(Error::from)?;

        let sub_accounts = rows.into_iter().map(SubAccount::try_from);
        Ok(Reply::read(SubAccountList {
            sub_accounts: sub_accounts.collect::<Result<_>>()?,
        }))
    }
}
