//! `GET /v1/tradings`

use super::object::{Trading, living};
use crate::routes::prelude::*;
use tiris_store::entity::exchange_bindings;
use tiris_store::entity::tradings::{Column, Model};

operation!(ListTradings: User, General, [INVALID_FILTER]);

/// The order of lists: by time, then by id.
const ORDER: (Column, Column) = (Column::CreatedAt, Column::Id);
/// A trading with its binding.
type Row = (Model, Option<exchange_bindings::Model>);

/// A page of tradings.
#[derive(Object, Serialize)]
struct TradingList {
    /// Tradings, newest first
    tradings: Listed<Trading>,
    /// Position of the page in the list
    pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Tradings")]
impl ListTradings {
    /// List the caller's tradings
    ///
    /// Returns a page of the tradings that are not deleted, newest first: up to 1,000 unless `limit` is given.
    #[oai(path = "/", method = "get", operation_id = "listTradings")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only tradings whose `info` contains this JSON object, URL-encoded
        info: Query<Option<String>>,
        /// Names of the fields to return of each object, separated by commas, such as `id,name`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 1000
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
    ) -> Answer<TradingList, Self> {
        let page = Page::of_short_list(limit.0, cursor.0.as_deref())?;
        let chosen = Chosen::of::<Trading>(fields.0.as_deref())?;
        let rows = living(caller.user())
            .filter(containing(Column::Info, info.0.as_deref())?)
            .find_also_related(exchange_bindings::Entity);
        let list = List {
            rows,
            columns: ORDER,
            key: |(trading, _): &Row| (trading.created_at, trading.id),
        };

        let mut answer = state.answers.begin(caller.user());
        let (rows, pagination) = page
            .read(&mut answer, &state.db, list, |(trading, binding)| {
                chosen.serialize(&Trading::new(trading, binding)?)
            })
            .await?;
        let data = TradingList {
            tradings: rows.into(),
            pagination,
        };
        Ok(Reply::list(data, answer))
    }
}
