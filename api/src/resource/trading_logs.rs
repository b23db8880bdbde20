//! Trading logs: what happened on a trading, and commands that move money as they are logged.

mod create;
mod delete;
mod object;

pub(super) use object::{TradingLog, log_of};

use super::refusals::{DeleteLog, Filtered, FilteredBelow, MoveMoney, One};
use super::tradings::not_purged;
use super::transactions::Time;
use super::{Message, Tag};
use crate::auth::{Admin, Caller};
use crate::body::JsonBody;
use crate::envelope::{Answer, Made, Reply};
use crate::filter::{containing, equal, equal_text, range};
use crate::ledger;
use crate::once::Once;
use crate::page::{self, Page, Pagination};
use crate::state::State;
use chrono::{DateTime, Utc};
use create::{LogWork, NewTradingLog};
use delete::DeleteWork;
use object::{LogSource, Recorded};
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Select};
use serde::Serialize;
use tiris_domain::ids::UserId;
use tiris_store::entity::trading_logs::{Column, Entity, Model};
use tiris_store::entity::tradings;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Operations on trading logs.
pub(crate) struct TradingLogs;

const ORDER: (Column, Column) = (Column::Timestamp, Column::Id);

/// A page of trading logs, newest first.
#[derive(Object, Serialize)]
struct TradingLogPage {
    trading_logs: Vec<TradingLog>,
    pagination: Pagination,
}

fn owned(user: UserId) -> Select<Entity> {
    Entity::find()
        .filter(Column::UserId.eq(user.0))
        .filter(not_purged(Column::TradingId, user))
}

async fn read(state: &State, page: &Page, rows: Select<Entity>) -> Result<TradingLogPage> {
    let key = |row: &Model| (row.timestamp, row.id);
    let (rows, pagination) = page
        .read_history(&state.histories, rows, ORDER, key, |row| row.trading_id)
        .await?;
    let trading_logs = rows
        .into_iter()
        .map(TradingLog::from_row)
        .collect::<Result<_>>()?;
    Ok(TradingLogPage {
        trading_logs,
        pagination,
    })
}

#[OpenApi(prefix_path = "/v1/trading-logs", tag = "Tag::TradingLogs")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl TradingLogs {
    /// Trading logs of the caller, newest first
    #[oai(path = "/", method = "get", operation_id = "listTradingLogs")]
    async fn list(
        &self,
        caller: Caller,
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
        source: Query<Option<LogSource>>,
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
    ) -> Answer<TradingLogPage, Filtered> {
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
            .filter(equal(Column::Source, source.0.map(LogSource::stored)))
            .filter(range(
                dated,
                ("start_date", start_date.0),
                ("end_date", end_date.0),
            )?)
            .filter(containing(Column::Info, info.0.as_deref())?);
        Ok(Reply::new(read(&state, &page, rows).await?))
    }

    /// Trading logs of one trading, newest first
    #[oai(
        path = "/trading/:trading_id",
        method = "get",
        operation_id = "listTradingLogsOfTrading"
    )]
    async fn list_of_trading(
        &self,
        caller: Caller,
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
    ) -> Answer<TradingLogPage, FilteredBelow> {
        let page = Page::new(limit.0, cursor.0.as_deref(), offset.0, include_total.0)?;
        let mine = tradings::Entity::find_by_id(trading_id.0)
            .filter(tradings::Column::UserId.eq(caller.user().0))
            .filter(tradings::Column::Status.ne("deleting"));
        if mine.one(&state.db).await.map_err(Error::from)?.is_none() {
            return Err(Error::NotFound("trading").into());
        }
        let rows = owned(caller.user())
            .filter(Column::TradingId.eq(trading_id.0))
            .filter(range(
                Column::EventTime,
                ("since", since.0),
                ("until", None),
            )?);
        Ok(Reply::new(read(&state, &page, rows).await?))
    }

    /// One trading log
    #[oai(path = "/:id", method = "get", operation_id = "getTradingLog")]
    async fn get(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The trading log
        id: Path<Uuid>,
    ) -> Answer<TradingLog, One> {
        let missing = Error::NotFound("trading log");
        let Some(row) = page::by_id(owned(caller.user()), ORDER, id.0) else {
            return Err(missing.into());
        };
        let row = row.one(&state.db).await.map_err(Error::from)?;
        Ok(Reply::new(TradingLog::from_row(row.ok_or(missing)?)?))
    }

    /// Writes a trading log; five types move money
    ///
    /// `long`, `short` and `stop_loss` settle a trade and need `info {stock_account_id, currency_account_id, price,
    /// volume, stock, currency, fee, fee_account_id?, quote_amount?, order_id?}`. `deposit` and `withdraw` need
    /// `info {account_id, amount, currency}`. They are applied before the call returns, all of a trade or nothing.
    /// Any other type, of 1 to 50 characters, is only recorded.
    #[oai(path = "/", method = "post", operation_id = "createTradingLog")]
    async fn create(
        &self,
        caller: Caller,
        state: Data<&State>,
        once: Once,
        body: JsonBody<NewTradingLog>,
    ) -> Made<Recorded, MoveMoney> {
        let work = LogWork {
            user: caller.user(),
            new: body.0,
        };
        Ok(once.commit(&state, work.user, &work).await?)
    }

    /// Deletes a trading log that moved no money (admins)
    ///
    /// What it said of itself stays in the audit trail. A log that moved money is part of the books.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteTradingLog")]
    async fn delete(
        &self,
        admin: Admin,
        state: Data<&State>,
        /// The trading log
        id: Path<Uuid>,
    ) -> Answer<Message, DeleteLog> {
        ledger::commit(
            &state.pool,
            &DeleteWork {
                admin: &admin,
                id: id.0,
            },
        )
        .await?;
        Ok(Reply::new(Message::new("The trading log is deleted.")))
    }
}
