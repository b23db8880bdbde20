//! `GET /v1/trading-logs`

use super::owned::{TradingLogPage, owned, read};
use crate::http::filter::{containing, equal, equal_text, range};
use crate::http::page::Page;
use crate::routes::prelude::*;
use crate::routes::range::Time;
use sea_orm::QueryFilter;
use tiris_domain::states::LogSource;
use tiris_store::entity::trading_logs::Column;

/// List the trading logs of the caller.
pub(crate) struct ListTradingLogs;

impl Policy for ListTradingLogs {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_FILTER];
}

#[OpenApi(prefix_path = "/v1/trading-logs", tag = "Tag::TradingLogs")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl ListTradingLogs {
    /// Trading logs of the caller, newest first
    #[oai(path = "/", method = "get", operation_id = "listTradingLogs")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only those of this trading
        trading_id: Query<Option<Uuid>>,
        /// Only those that name this sub-account
        sub_account_id: Query<Option<Uuid>>,
        /// Only those of this order
        order_id: Query<Option<String>>,
        /// Only this type
        r#type: Query<Option<String>>,
        /// Only those a person (`manual`) or a bot (`bot`) wrote
        source: Query<Option<Field<LogSource>>>,
        /// From this moment on, inclusive
        start_date: Query<Option<DateTime<Utc>>>,
        /// Until this moment, exclusive
        end_date: Query<Option<DateTime<Utc>>>,
        /// Which time `start_date` and `end_date` mean: `recorded` (default) or `event`
        time: Query<Option<Time>>,
        /// JSON object the `info` of a log must contain
        info: Query<Option<String>>,
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
        let dated = if matches!(time.0, Some(Time::Event)) {
            Column::EventTime
        } else {
            Column::Timestamp
        };
        let rows = owned(caller.user())
            .filter(equal(Column::TradingId, trading_id.0))
            .filter(equal(Column::SubAccountId, sub_account_id.0))
            .filter(equal_text(Column::OrderId, "order_id", order_id.0)?)
            .filter(equal_text(Column::Type, "type", r#type.0)?)
            .filter(equal(
                Column::Source,
                source.0.map(|source| source.0.as_str()),
            ))
            .filter(range(
                dated,
                ("start_date", start_date.0),
                ("end_date", end_date.0),
            )?)
            .filter(containing(Column::Info, info.0.as_deref())?);

        Ok(Reply::read(read(&state, &page, rows).await?))
    }
}
