//! Transactions: every change of every balance. Read-only, because the books are append-only.

mod export;
mod object;

pub(super) use object::{Direction, Transaction, transactions_of};

use super::Tag;
use super::refusals::{Filtered, One};
use super::tradings::not_purged;
use crate::auth::Caller;
use crate::csv;
use crate::envelope::{Answer, Exportable, Refused, Reply};
use crate::filter::{containing, equal, equal_text, range};
use crate::history::Histories;
use crate::page::{self, Page, Pagination};
use crate::state::State;
use chrono::{DateTime, Utc};
use poem::Request;
use poem::web::{Accept, Data};
use poem_openapi::auth::{Bearer, BearerAuthorization};
use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};
use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, Select};
use serde::Serialize;
use tiris_domain::ids::UserId;
use tiris_domain::money::Money;
use tiris_store::entity::transactions::{Column, Entity, Model};
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Operations on transactions.
pub(crate) struct Transactions;

const ORDER: (Column, Column) = (Column::Timestamp, Column::Id);

/// Which time a range of dates means.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum Time {
    /// When it was booked: `timestamp`
    Recorded,
    /// When it happened, by the caller: `event_time`
    Event,
}

/// A page of transactions, newest first.
#[derive(Object, Serialize)]
struct TransactionPage {
    transactions: Vec<Transaction>,
    pagination: Pagination,
}

/// What a list is answered with.
type Listed = Exportable<TransactionPage>;

fn owned(user: UserId) -> Select<Entity> {
    Entity::find()
        .filter(Column::UserId.eq(user.0))
        .filter(not_purged(Column::TradingId, user))
}

#[OpenApi(prefix_path = "/v1/transactions", tag = "Tag::Transactions")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl Transactions {
    /// Transactions of the caller, newest first
    ///
    /// With `Accept: text/csv` all that the filters select, whatever their number, as a stream of CSV (RFC 4180) with a
    /// header row; `limit`, `cursor`, `offset` and `include_total` mean nothing there. A text that a spreadsheet would
    /// take for a formula, because it begins with `=`, `+`, `-` or `@`, has an apostrophe before it.
    #[oai(path = "/", method = "get", operation_id = "listTransactions")]
    async fn list(
        &self,
        caller: Caller,
        state: Data<&State>,
        request: &Request,
        accept: Accept,
        /// Only those of this trading
        trading_id: Query<Option<Uuid>>,
        /// Only those of this sub-account
        sub_account_id: Query<Option<Uuid>>,
        /// Only those of this order
        order_id: Query<Option<String>>,
        /// Only this direction
        direction: Query<Option<Direction>>,
        /// Only this reason
        reason: Query<Option<String>>,
        /// From this moment on, inclusive
        start_date: Query<Option<DateTime<Utc>>>,
        /// Until this moment, exclusive
        end_date: Query<Option<DateTime<Utc>>>,
        /// Which time `start_date` and `end_date` mean: `recorded` (default) or `event`
        time: Query<Option<Time>>,
        /// Amounts of at least this
        min_amount: Query<Option<String>>,
        /// Amounts of at most this
        max_amount: Query<Option<String>>,
        /// JSON object the `info` of a transaction must contain
        info: Query<Option<String>>,
        /// Rows of the page, 1 to 1000, by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the page before; stable while new rows come in
        cursor: Query<Option<String>>,
        /// Rows to skip, at most 100000; excludes `cursor`
        offset: Query<Option<u64>>,
        /// Whether to count the whole list
        include_total: Query<Option<bool>>,
    ) -> Result<Listed, Refused<Filtered>> {
        let page = Page::new(limit.0, cursor.0.as_deref(), offset.0, include_total.0)?;
        let dated = if matches!(time.0, Some(Time::Event)) {
            Column::EventTime
        } else {
            Column::Timestamp
        };
        let direction = direction.0.map(|direction| match direction {
            Direction::Credit => "credit",
            Direction::Debit => "debit",
        });
        let rows = owned(caller.user())
            .filter(equal(Column::TradingId, trading_id.0))
            .filter(equal(Column::SubAccountId, sub_account_id.0))
            .filter(equal_text(Column::OrderId, "order_id", order_id.0)?)
            .filter(equal(Column::Direction, direction))
            .filter(equal_text(Column::Reason, "reason", reason.0)?)
            .filter(range(
                dated,
                ("start_date", start_date.0),
                ("end_date", end_date.0),
            )?)
            .filter(amounts(min_amount.0.as_deref(), max_amount.0.as_deref())?)
            .filter(containing(Column::Info, info.0.as_deref())?);
        if csv::is_wanted(&accept) {
            let token = Bearer::from_request(request)
                .map_err(|_| Error::AuthRequired)?
                .token;
            let csv = export::stream((*state).clone(), caller.user(), token.into(), rows).await?;
            return Ok(Exportable::Csv(csv));
        }
        let (rows, pagination) = read(&page, &state.histories, rows).await?;
        let transactions = rows
            .into_iter()
            .map(Transaction::from_row)
            .collect::<Result<_>>()?;
        Ok(Exportable::Page(Reply::new(TransactionPage {
            transactions,
            pagination,
        })))
    }

    /// One transaction
    #[oai(path = "/:id", method = "get", operation_id = "getTransaction")]
    async fn get(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The transaction
        id: Path<Uuid>,
    ) -> Answer<Transaction, One> {
        let missing = Error::NotFound("transaction");
        let Some(row) = page::by_id(owned(caller.user()), ORDER, id.0) else {
            return Err(missing.into());
        };
        let row = row.one(&state.db).await.map_err(Error::from)?;
        Ok(Reply::new(Transaction::from_row(row.ok_or(missing)?)?))
    }
}

async fn read(
    page: &Page,
    histories: &Histories,
    rows: Select<Entity>,
) -> Result<(Vec<Model>, Pagination)> {
    let key = |row: &Model| (row.timestamp, row.id);
    page.read_history(histories, rows, ORDER, key, |row| row.trading_id)
        .await
}

fn amounts(min: Option<&str>, max: Option<&str>) -> Result<Condition> {
    let bound = |name, text: &str| -> Result<Decimal> {
        text.parse()
            .map(Money::to_decimal)
            .map_err(|why: String| Error::invalid(name, why))
    };
    let mut condition = Condition::all();
    if let Some(min) = min {
        condition = condition.add(Column::Amount.gte(bound("min_amount", min)?));
    }
    if let Some(max) = max {
        condition = condition.add(Column::Amount.lte(bound("max_amount", max)?));
    }
    Ok(condition)
}
