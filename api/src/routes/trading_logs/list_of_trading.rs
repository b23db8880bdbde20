//! `GET /v1/trading-logs/trading/{trading_id}`

use super::owned::{TradingLogPage, owned, read};
use crate::http::filter::range;
use crate::http::page::Page;
use crate::routes::prelude::*;
use sea_orm::{ColumnTrait, QueryFilter};
use tiris_domain::ids::TradingId;
use tiris_store::entity::trading_logs::Column;
use tiris_store::tradings;

/// List the trading logs of one trading.
pub(crate) struct ListTradingLogsOfTrading;

impl Policy for ListTradingLogsOfTrading {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_FILTER, NOT_FOUND];
}

#[OpenApi(prefix_path = "/v1/trading-logs", tag = "Tag::TradingLogs")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl ListTradingLogsOfTrading {
    /// Trading logs of one trading, newest first
    #[oai(
        path = "/trading/:trading_id",
        method = "get",
        operation_id = "listTradingLogsOfTrading"
    )]
    async fn list_of_trading(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The trading; the logs of a real one stay readable when it is deleted
        trading_id: Path<Uuid>,
        /// Only what happened (`event_time`) from this moment on, inclusive
        since: Query<Option<DateTime<Utc>>>,
        /// Rows of the page, 1 to 1000, by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the page before; stable while new rows come in
        cursor: Query<Option<String>>,
        /// Rows to skip, at most 100000; excludes `cursor`
        offset: Query<Option<u64>>,
        /// Whether to count the whole list
        include_total: Query<Option<bool>>,
    ) -> Answer<TradingLogPage, Self> {
        let page = Page::new(limit.0, cursor.0.as_deref(), offset.0, include_total.0)?;
        tradings::check_readable(&state.pool, caller.user(), TradingId(trading_id.0)).await?;

        let rows = owned(caller.user())
            .filter(Column::TradingId.eq(trading_id.0))
            .filter(range(
                Column::EventTime,
                ("since", since.0),
                ("until", None),
            )?);
        Ok(Reply::read(read(&state, &page, rows).await?))
    }
}
