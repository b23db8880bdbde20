//! `GET /v1/tradings`

use super::object::{Trading, living};
use crate::http::filter::containing;
use crate::routes::prelude::*;
use sea_orm::{QueryFilter, QueryOrder};
use tiris_store::entity::exchange_bindings;
use tiris_store::entity::tradings::Column;

/// List the tradings of the caller.
pub(crate) struct ListTradings;

impl Policy for ListTradings {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_FILTER];
}

/// All living tradings of the caller, newest first.
#[derive(Object, Serialize)]
struct TradingList {
    tradings: Vec<Trading>,
}

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Tradings")]
impl ListTradings {
    /// All tradings of the caller, newest first
    #[oai(path = "/", method = "get", operation_id = "listTradings")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// JSON object the `info` of a trading must contain
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
