//! `GET /v1/trading-logs`

use super::drift::{DriftFilter, drifting};
use super::object::TradingLog;
use super::of_account::{ORDER, OfAccount, Shared};
use crate::http::answer;
use crate::http::reading::Rows;
use crate::routes::prelude::*;
use crate::routes::range::Time;
use crate::routes::tradings::object::not_purged;
use tiris_domain::states::LogSource;
use tiris_store::entity::trading_logs::{Column, Entity, Model};

operation!(ListTradingLogs: User, General, [INVALID_FILTER]);

/// A page of trading logs.
#[derive(Object, Serialize)]
pub(in crate::routes) struct TradingLogPage {
    /// Trading logs, newest first
    pub(in crate::routes) trading_logs: Listed<TradingLog>,
    /// Position of the page in the list
    pub(in crate::routes) pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/trading-logs", tag = "Tag::TradingLogs")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl ListTradingLogs {
    /// List the caller's trading logs
    ///
    /// Returns a page of trading logs, newest first; all given filters must match.
    #[oai(path = "/", method = "get", operation_id = "listTradingLogs")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only logs of this trading
        trading_id: Query<Option<Uuid>>,
        /// Only logs that name this sub-account or changed its balance, such as trades
        sub_account_id: Query<Option<Uuid>>,
        /// Only logs that name this order, at most 128 characters
        order_id: Query<Option<String>>,
        /// Only logs of this type, such as `deposit`; at most 128 characters
        r#type: Query<Option<String>>,
        /// Only logs written by a user (`manual`) or by a bot (`bot`)
        source: Query<Option<Field<LogSource>>>,
        /// Start of the time range, RFC 3339, inclusive
        start_date: Query<Option<QueryTime>>,
        /// End of the time range, RFC 3339, exclusive
        end_date: Query<Option<QueryTime>>,
        /// The clock that `start_date` and `end_date` refer to: `recorded` (default) or `event`
        time: Query<Option<Time>>,
        /// Only logs with this kind of drift, or with `any`
        drift: Query<Option<Field<DriftFilter>>>,
        /// Only logs whose `info` contains this JSON object, URL-encoded; not indexed, so combine it with other filters
        info: Query<Option<String>>,
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
        let shared = Shared {
            trading: trading_id.0,
            order: order_id.0,
            time: time.0,
            start: start_date.0,
            end: end_date.0,
        };
        let rows = owned(caller.user())
            .filter(shared.of_logs()?)
            .filter(equal_text(Column::Type, "type", r#type.0)?)
            .filter(equal(
                Column::Source,
                source.0.map(|source| source.0.as_str()),
            ))
            .filter(drifting(drift.0))
            .filter(containing(Column::Info, info.0.as_deref())?);

        let mut answer = state.answers.begin(caller.user());
        let data = match sub_account_id.0 {
            Some(account) => {
                let rows = OfAccount::new((caller.user(), account), rows, &shared)?;
                read(&mut answer, &state, &page, rows, &chosen).await?
            }
            None => read(&mut answer, &state, &page, rows, &chosen).await?,
        };
        Ok(Reply::list(data, answer))
    }
}

/// Returns the trading logs of a user, without those of tradings that are being purged.
pub(in crate::routes) fn owned(user: UserId) -> Select<Entity> {
    Entity::find()
        .filter(Column::UserId.eq(user.0))
        .filter(not_purged(Column::TradingId, user))
}

/// Reads a page of trading logs.
pub(in crate::routes) async fn read(
    answer: &mut answer::Answer,
    state: &State,
    page: &Page,
    rows: impl Rows<Row = Model>,
    chosen: &Chosen,
) -> Result<TradingLogPage> {
    let list = List {
        rows,
        columns: ORDER,
        key: |row: &Model| (row.timestamp, row.id),
    };
    let trading = |row: &Model| row.trading_id;

    let (rows, pagination) = page
        .read_history(answer, &state.histories, list, trading, |row| {
            chosen.serialize(&TradingLog::try_from(row)?)
        })
        .await?;
    Ok(TradingLogPage {
        trading_logs: rows.into(),
        pagination,
    })
}
