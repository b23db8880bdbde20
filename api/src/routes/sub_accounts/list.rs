//! `GET /v1/sub-accounts`

use super::object::SubAccount;
use crate::http::filter::{containing, equal};
use crate::routes::prelude::*;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use tiris_store::entity::sub_accounts::{Column, Entity};
use tiris_store::error::{Error, Result};

/// List the sub-accounts of the caller.
pub(crate) struct ListSubAccounts;

impl Policy for ListSubAccounts {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_FILTER];
}

/// All living sub-accounts, newest first.
#[derive(Object, Serialize)]
struct SubAccountList {
    sub_accounts: Vec<SubAccount>,
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl ListSubAccounts {
    /// All sub-accounts of the caller, newest first
    #[oai(path = "/", method = "get", operation_id = "listSubAccounts")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only those of this trading
        trading_id: Query<Option<Uuid>>,
        /// JSON object the `info` of a sub-account must contain
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
