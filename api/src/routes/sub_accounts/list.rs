//! `GET /v1/sub-accounts`

use super::object::SubAccount;
use crate::routes::prelude::*;
use tiris_store::entity::sub_accounts::{Column, Entity, Model};

operation!(ListSubAccounts: User, General, [INVALID_FILTER]);

/// The order of lists: by time, then by id.
const ORDER: (Column, Column) = (Column::CreatedAt, Column::Id);

/// A page of sub-accounts.
#[derive(Object, Serialize)]
struct SubAccountList {
    /// Sub-accounts, newest first
    sub_accounts: Listed<SubAccount>,
    /// Position of the page in the list
    pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl ListSubAccounts {
    /// List the caller's sub-accounts
    ///
    /// Returns a page of the sub-accounts that are not deleted, newest first: up to 1,000 unless `limit` is given.
    #[oai(path = "/", method = "get", operation_id = "listSubAccounts")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only sub-accounts of this trading
        trading_id: Query<Option<Uuid>>,
        /// Only sub-accounts whose `info` contains this JSON object, URL-encoded
        info: Query<Option<String>>,
        /// Names of the fields to return of each object, separated by commas, such as `id,balance`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 1000
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
    ) -> Answer<SubAccountList, Self> {
        let page = Page::of_short_list(limit.0, cursor.0.as_deref())?;
        let chosen = Chosen::of::<SubAccount>(fields.0.as_deref())?;
        let rows = Entity::find()
            .filter(Column::UserId.eq(caller.user().0))
            .filter(Column::DeletedAt.is_null())
            .filter(equal(Column::TradingId, trading_id.0))
            .filter(containing(Column::Info, info.0.as_deref())?);
        let list = List {
            rows,
            columns: ORDER,
            key: |row: &Model| (row.created_at, row.id),
        };

        let mut answer = state.answers.begin(caller.user());
        let (rows, pagination) = page
            .read(&mut answer, &state.db, list, |row| {
                chosen.serialize(&SubAccount::try_from(row)?)
            })
            .await?;
        let data = SubAccountList {
            sub_accounts: rows.into(),
            pagination,
        };
        Ok(Reply::list(data, answer))
    }
}
