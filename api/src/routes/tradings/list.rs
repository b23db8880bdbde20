//! `GET /v1/tradings`

use super::object::{Trading, living};
use crate::routes::prelude::*;
use tiris_store::entity::exchange_bindings;
use tiris_store::entity::tradings::Column;

operation!(ListTradings: User, General, [INVALID_FILTER]);

/// All tradings of the caller that are not deleted.
#[derive(Object, Serialize)]
struct TradingList {
    /// Tradings, newest first
    tradings: Vec<Trading>,
}

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Tradings")]
impl ListTradings {
    /// List the caller's tradings
    ///
    /// Returns all tradings that are not deleted, newest first, in one response without pages.
    #[oai(path = "/", method = "get", operation_id = "listTradings")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only tradings whose `info` contains this JSON object, URL-encoded
        info: Query<Option<String>>,
    ) -> Answer<TradingList, Self> {
        let rows = living(caller.user())
            .filter(containing(Column::Info, info.0.as_deref())?)
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .find_also_related(exchange_bindings::Entity)
            .all(&state.db)
            .await
            .map_err(Error::from)?;

        let tradings = rows
            .into_iter()
            .map(|(trading, binding)| Trading::new(trading, binding));
        Ok(Reply::read(TradingList {
            tradings: tradings.collect::<Result<_>>()?,
        }))
    }
}
