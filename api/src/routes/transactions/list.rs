//! `GET /v1/transactions`

use super::export;
use super::object::Transaction;
use super::owned::{owned, read};
use crate::csv;
use crate::http::filter::{containing, equal, equal_text, range};
use crate::http::page::{Page, Pagination};
use crate::http::reply::{Exportable, Refused};
use crate::routes::prelude::*;
use crate::routes::range::Time;
use poem::Request;
use poem::web::Accept;
use poem_openapi::auth::{Bearer, BearerAuthorization};
use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, Condition, QueryFilter};
use tiris_domain::ledger::Direction;
use tiris_domain::money::Money;
use tiris_store::entity::transactions::Column;

/// List the transactions of the caller.
pub(crate) struct ListTransactions;

impl Policy for ListTransactions {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_FILTER];
}

/// A page of transactions, newest first.
#[derive(Object, Serialize)]
struct TransactionPage {
    transactions: Vec<Transaction>,
    pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/transactions", tag = "Tag::Transactions")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl ListTransactions {
    /// Transactions of the caller, newest first
    ///
    /// With `Accept: text/csv` all that the filters select, whatever their number, as a stream of CSV (RFC 4180) with a
    /// header row; `limit`, `cursor`, `offset` and `include_total` mean nothing there. A text that a spreadsheet would
    /// take for a formula, because it begins with `=`, `+`, `-` or `@`, has an apostrophe before it.
    #[oai(path = "/", method = "get", operation_id = "listTransactions")]
    async fn list(
        &self,
        caller: Caller<Self>,
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
        direction: Query<Option<Field<Direction>>>,
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
    ) -> Result<Exportable<TransactionPage>, Refused<Self>> {
        let page = Page::new(limit.0, cursor.0.as_deref(), offset.0, include_total.0)?;
        let direction = direction.0.map(|direction| direction.0.as_str());
        let dated = match time.0 {
            Some(Time::Event) => Column::EventTime,
            _ => Column::Timestamp,
        };

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
            let bearer = Bearer::from_request(request).map_err(|_| Error::AuthRequired)?;
            let token = bearer.token.into();
            let csv = export::stream((*state).clone(), caller.user(), token, rows).await?;
            return Ok(Exportable::Csv(csv));
        }

        let (rows, pagination) = read(&state, &page, rows).await?;
        let transactions = rows.into_iter().map(Transaction::try_from);
        Ok(Exportable::Page(Reply::read(TransactionPage {
            transactions: transactions.collect::<Result<_>>()?,
            pagination,
        })))
    }
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
