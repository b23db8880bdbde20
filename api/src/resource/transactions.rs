//! Transactions: every change of every balance. Read-only, because the books are append-only.

use super::refusals::{Filtered, One};
use super::tradings::not_purged;
use super::{Tag, stored};
use crate::auth::Caller;
use crate::envelope::{Answer, Reply};
use crate::filter::{containing, equal, equal_text, range};
use crate::page::{self, Page, Pagination};
use crate::state::State;
use crate::value::{Info, MoneyText};
use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};
use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, Select};
use serde::Serialize;
use tiris_shared::entity::transactions::{Column, Entity, Model};
use tiris_shared::error::{Error, Result};
use tiris_shared::ids::UserId;
use tiris_shared::ledger;
use tiris_shared::money::Money;
use tiris_shared::store::ledger::{Applied, Entry};
use uuid::Uuid;

/// Operations on transactions.
pub(crate) struct Transactions;

const ORDER: (Column, Column) = (Column::Timestamp, Column::Id);

/// Which way a balance moved.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum Direction {
    /// The balance grew.
    Credit,
    /// The balance shrank.
    Debit,
}

impl From<ledger::Direction> for Direction {
    fn from(direction: ledger::Direction) -> Self {
        match direction {
            ledger::Direction::Credit => Self::Credit,
            ledger::Direction::Debit => Self::Debit,
        }
    }
}

/// Which time a range of dates means.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum Time {
    /// When it was booked: `timestamp`
    Recorded,
    /// When it happened, by the caller: `event_time`
    Event,
}

/// One change of one balance.
#[derive(Object, Serialize)]
pub(super) struct Transaction {
    id: Uuid,
    user_id: Uuid,
    trading_id: Uuid,
    sub_account_id: Uuid,
    /// When it was booked
    timestamp: DateTime<Utc>,
    /// When it happened, by the caller; of a backtest years before `timestamp`
    event_time: DateTime<Utc>,
    direction: Direction,
    /// Why: `long`, `short`, `stop_loss`, `fee`, `deposit`, `withdraw`, or what an event said
    reason: String,
    /// How much, above zero, in units of the account's asset
    amount: MoneyText,
    /// The balance after it
    closing_balance: MoneyText,
    /// Price of one unit of stock in a trade
    #[oai(nullable)]
    price: Option<MoneyText>,
    /// Asset the price is in
    #[oai(nullable)]
    quote_symbol: Option<String>,
    /// The order it belongs to
    #[oai(nullable)]
    order_id: Option<String>,
    /// Its number on the account, from 1 without gaps
    sequence: i64,
    /// The event it came from; null when it came by REST
    #[oai(nullable)]
    event_id: Option<String>,
    /// The log entry that made it
    trading_log_id: Uuid,
    /// Free JSON
    info: Info,
}

impl Transaction {
    pub(super) fn from_row(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            trading_id: row.trading_id,
            sub_account_id: row.sub_account_id,
            timestamp: row.timestamp,
            event_time: row.event_time,
            direction: stored(&row.direction)?,
            reason: row.reason,
            amount: MoneyText::from_column(row.amount)?,
            closing_balance: MoneyText::from_column(row.closing_balance)?,
            price: row.price.map(MoneyText::from_column).transpose()?,
            quote_symbol: row.quote_symbol,
            order_id: row.order_id,
            sequence: row.sequence,
            event_id: row.event_id,
            trading_log_id: row.trading_log_id,
            info: Info::from_column(row.info),
        })
    }
}

/// The rows the ledger has just written for an entry.
pub(super) fn transactions_of(
    entry: &Entry,
    applied: &Applied,
    timestamp: DateTime<Utc>,
) -> Vec<Transaction> {
    let row = |(id, posting): &(tiris_shared::ids::TransactionId, ledger::Posting)| Transaction {
        id: id.0,
        user_id: entry.user.0,
        trading_id: entry.trading.0,
        sub_account_id: posting.account.0,
        timestamp,
        event_time: entry.event_time.unwrap_or(timestamp),
        direction: posting.direction.into(),
        reason: posting.reason.clone(),
        amount: MoneyText(posting.amount),
        closing_balance: MoneyText(posting.closing_balance),
        price: posting.price.map(MoneyText),
        quote_symbol: posting.quote.as_ref().map(ToString::to_string),
        order_id: entry.order.as_ref().map(ToString::to_string),
        sequence: posting.sequence,
        event_id: None,
        trading_log_id: applied.log.0,
        info: Info(entry.info.clone()),
    };
    applied.postings.iter().map(row).collect()
}

/// A page of transactions, newest first.
#[derive(Object, Serialize)]
struct TransactionPage {
    transactions: Vec<Transaction>,
    pagination: Pagination,
}

fn owned(user: UserId) -> Select<Entity> {
    Entity::find().filter(Column::UserId.eq(user.0)).filter(not_purged(Column::TradingId, user))
}

#[OpenApi(prefix_path = "/v1/transactions", tag = "Tag::Transactions")]
#[expect(clippy::too_many_arguments, reason = "one argument for each query parameter")]
impl Transactions {
    /// Transactions of the caller, newest first
    #[oai(path = "/", method = "get", operation_id = "listTransactions")]
    async fn list(
        &self,
        caller: Caller,
        state: Data<&State>,
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
    ) -> Answer<TransactionPage, Filtered> {
        let page = Page::new(limit.0, cursor.0.as_deref(), offset.0, include_total.0)?;
        let dated = if matches!(time.0, Some(Time::Event)) { Column::EventTime } else { Column::Timestamp };
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
            .filter(range(dated, ("start_date", start_date.0), ("end_date", end_date.0))?)
            .filter(amounts(min_amount.0.as_deref(), max_amount.0.as_deref())?)
            .filter(containing(Column::Info, info.0.as_deref())?);
        let (rows, pagination) =
            page.read(&state.db, rows, ORDER, |row: &Model| (row.timestamp, row.id)).await?;
        let transactions = rows.into_iter().map(Transaction::from_row).collect::<Result<_>>()?;
        Ok(Reply::new(TransactionPage { transactions, pagination }))
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
        let Some(row) = page::by_id(owned(caller.user()), ORDER, id.0) else { return Err(missing.into()) };
        let row = row.one(&state.db).await.map_err(Error::from)?;
        Ok(Reply::new(Transaction::from_row(row.ok_or(missing)?)?))
    }
}

fn amounts(min: Option<&str>, max: Option<&str>) -> Result<Condition> {
    let bound = |name, text: &str| -> Result<Decimal> {
        text.parse().map(Money::to_decimal).map_err(|why: String| Error::invalid(name, why))
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
