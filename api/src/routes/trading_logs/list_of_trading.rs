//! `GET /v1/trading-logs/trading/{trading_id}`

use super::drift::{DriftFilter, drifting};
use super::list::{TradingLogPage, owned, read};
use super::object::TradingLog;
use crate::routes::prelude::*;
use tiris_store::entity::trading_logs::Column;
use tiris_store::tradings;

operation!(ListTradingLogsOfTrading: User, General, [INVALID_FILTER, NOT_FOUND]);

#[OpenApi(prefix_path = "/v1/trading-logs", tag = "Tag::TradingLogs")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl ListTradingLogsOfTrading {
    /// List the trading logs of a trading
    ///
    /// Returns a page of the logs of one trading, newest first. `GET /v1/trading-logs` has more filters.
    #[oai(
        path = "/trading/:trading_id",
        method = "get",
        operation_id = "listTradingLogsOfTrading"
    )]
    async fn list_of_trading(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the trading; a deleted real trading keeps its logs readable
        trading_id: Path<Uuid>,
        /// Only logs whose `event_time` is at or after this moment, RFC 3339
        since: Query<Option<QueryTime>>,
        /// Only logs with this kind of drift, or with `any`
        drift: Query<Option<Field<DriftFilter>>>,
        /// Names of the fields to return of each object, separated by commas, such as `id,message`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
        /// Rows to skip, at most 100000; cannot be combined with `cursor`
        offset: Query<Option<u64>>,
        /// Whether to count all matching rows, which reads them all; by default false
        include_total: Query<Option<bool>>,
    ) -> Answer<TradingLogPage, Self> {
        let page = Page::new(limit.0, cursor.0.as_deref(), offset.0, include_total.0)?;
        let chosen = Chosen::of::<TradingLog>(fields.0.as_deref())?;
        tradings::check_readable(&state.pool, caller.user(), TradingId(trading_id.0)).await?;

        let rows = owned(caller.user())
            .filter(Column::TradingId.eq(trading_id.0))
            .filter(drifting(drift.0))
            .filter(range(
                Column::EventTime,
                ("since", since.0),
                ("until", None),
            )?);
        let mut answer = state.answers.begin(caller.user());
        let data = read(&mut answer, &state, &page, rows, &chosen).await?;
        Ok(Reply::list(data, answer))
    }
}
