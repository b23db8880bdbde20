//! `GET /v1/transactions`

use super::export;
use super::filters::Filters;
use super::object::Transaction;
use super::owned::read;
use crate::csv;
use crate::http::reply::{Exportable, Refused};
use crate::routes::prelude::*;
use crate::routes::range::Time;
use poem::Request;
use poem::web::Accept;

operation!(ListTransactions: User, General, [INVALID_FILTER]);

/// A page of transactions.
#[derive(Object, Serialize)]
struct TransactionPage {
    /// Transactions, newest first
    transactions: Listed<Transaction>,
    /// Position of the page in the list
    pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/transactions", tag = "Tag::Transactions")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl ListTransactions {
    /// List the caller's transactions
    ///
    /// Returns a page of transactions, newest first; all given filters must match. With `Accept: text/csv` the response
    /// is that of `GET /v1/transactions/export`, for clients that were written before it existed.
    #[oai(path = "/", method = "get", operation_id = "listTransactions")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        request: &Request,
        accept: Accept,
        /// Only transactions of this trading
        trading_id: Query<Option<Uuid>>,
        /// Only transactions of this sub-account
        sub_account_id: Query<Option<Uuid>>,
        /// Only transactions of this order, at most 128 characters
        order_id: Query<Option<String>>,
        /// Only transactions in this direction: `credit` or `debit`
        direction: Query<Option<Field<Direction>>>,
        /// Only transactions with this reason, such as `fee`; at most 128 characters
        reason: Query<Option<String>>,
        /// Start of the time range, RFC 3339, inclusive
        start_date: Query<Option<QueryTime>>,
        /// End of the time range, RFC 3339, exclusive
        end_date: Query<Option<QueryTime>>,
        /// The clock that `start_date` and `end_date` refer to: `recorded` (default) or `event`
        time: Query<Option<Time>>,
        /// Smallest amount, a decimal in units of the sub-account's asset, inclusive
        min_amount: Query<Option<String>>,
        /// Largest amount, a decimal in units of the sub-account's asset, inclusive
        max_amount: Query<Option<String>>,
        /// Only transactions whose `info` contains this JSON object, URL-encoded; not indexed, so combine it with other filters
        info: Query<Option<String>>,
        /// Names of the fields to return of each object, separated by commas, such as `id,amount`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
        /// Rows to skip, at most 100000; cannot be combined with `cursor`
        offset: Query<Option<u64>>,
        /// Whether to count all matching rows, which reads them all; by default false
        include_total: Query<Option<bool>>,
    ) -> Result<Exportable<TransactionPage>, Refused<Self>> {
        let page = Page::new(limit.0, cursor.0.as_deref(), offset.0, include_total.0)?;
        let chosen = Chosen::of::<Transaction>(fields.0.as_deref())?;
        let filters = Filters {
            trading_id: trading_id.0,
            sub_account_id: sub_account_id.0,
            order_id: order_id.0,
            direction: direction.0,
            reason: reason.0,
            start_date: start_date.0,
            end_date: end_date.0,
            time: time.0,
            min_amount: min_amount.0,
            max_amount: max_amount.0,
            info: info.0,
        };
        let rows = filters.rows(caller.user())?;

        if csv::is_wanted(&accept) {
            let csv = export::of_request(request, &state, caller.user(), rows).await?;
            return Ok(Exportable::Csv(csv));
        }

        let mut answer = state.answers.begin(caller.user());
        let convert = |row: &Transaction| chosen.serialize(row);
        let (rows, pagination) = read(&mut answer, &state, &page, rows, convert).await?;
        let data = TransactionPage {
            transactions: rows.into(),
            pagination,
        };
        Ok(Exportable::Page(Reply::list(data, answer)))
    }
}
