//! `GET /v1/exchange-bindings` and `GET /v1/exchange-bindings/public`

use super::object::ExchangeBinding;
use crate::routes::prelude::*;
use tiris_domain::states::{BindingKind, BindingStatus};
use tiris_store::entity::exchange_bindings::{Column, Entity, Model};

operation!(ListExchangeBindings: User, General, [INVALID_FILTER]);

operation!(ListPublicExchangeBindings: User, General, [INVALID_FILTER]);

/// The order of lists: by time, then by id.
const ORDER: (Column, Column) = (Column::CreatedAt, Column::Id);

/// A page of bindings.
#[derive(Object, Serialize)]
struct ExchangeBindingList {
    /// Bindings, newest first
    exchange_bindings: Listed<ExchangeBinding>,
    /// Position of the page in the list
    pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl ListExchangeBindings {
    /// List the caller's private exchange bindings
    ///
    /// Returns a page of the caller's bindings that are not deleted, newest first, without their credentials: up to 1,000
    /// unless `limit` is given.
    #[oai(path = "/", method = "get", operation_id = "listExchangeBindings")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only bindings whose `info` contains this JSON object, URL-encoded
        info: Query<Option<String>>,
        /// Names of the fields to return of each object, separated by commas, such as `id,name`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 1000
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
    ) -> Answer<ExchangeBindingList, Self> {
        let own = Condition::all().add(Column::UserId.eq(caller.user().0));

        let wanted = Wanted {
            page: Page::of_short_list(limit.0, cursor.0.as_deref())?,
            chosen: Chosen::of::<ExchangeBinding>(fields.0.as_deref())?,
            rows: matching(own, info.0.as_deref())?,
        };
        Ok(wanted.read(&state, caller.user()).await?)
    }
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl ListPublicExchangeBindings {
    /// List the public exchange bindings
    ///
    /// Public bindings hold no credentials and can be used by every user, for example for paper trading.
    #[oai(
        path = "/public",
        method = "get",
        operation_id = "listPublicExchangeBindings"
    )]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only bindings whose `info` contains this JSON object, URL-encoded
        info: Query<Option<String>>,
        /// Names of the fields to return of each object, separated by commas, such as `id,name`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 1000
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
    ) -> Answer<ExchangeBindingList, Self> {
        let public = Condition::all().add(Column::Kind.eq(BindingKind::Public.as_str()));

        let wanted = Wanted {
            page: Page::of_short_list(limit.0, cursor.0.as_deref())?,
            chosen: Chosen::of::<ExchangeBinding>(fields.0.as_deref())?,
            rows: matching(public, info.0.as_deref())?,
        };
        Ok(wanted.read(&state, caller.user()).await?)
    }
}

/// A page of bindings to read.
struct Wanted {
    page: Page,
    chosen: Chosen,
    rows: Select<Entity>,
}

impl Wanted {
    async fn read(self, state: &State, user: UserId) -> Result<Reply<ExchangeBindingList>> {
        let list = List {
            rows: self.rows,
            columns: ORDER,
            key: |row: &Model| (row.created_at, row.id),
        };

        let mut answer = state.answers.begin(user);
        let (rows, pagination) = self
            .page
            .read(&mut answer, &state.db, list, |row| {
                self.chosen.serialize(&ExchangeBinding::try_from(row)?)
            })
            .await?;
        let data = ExchangeBindingList {
            exchange_bindings: rows.into(),
            pagination,
        };
        Ok(Reply::list(data, answer))
    }
}

/// Returns the bindings that meet a condition and whose free JSON contains `info`.
fn matching(condition: Condition, info: Option<&str>) -> Result<Select<Entity>> {
    Ok(Entity::find()
        .filter(condition)
        .filter(Column::Status.ne(BindingStatus::Deleted.as_str()))
        .filter(containing(Column::Info, info)?))
}
