//! `GET /v1/transactions/export`: transactions as a CSV stream, read page by page as the client consumes it.
//!
//! Memory holds one page and the database works on one page at a time. A user can run a few exports at once; an export
//! ends when its client disconnects or its session ends.

use super::filters::Filters;
use super::object::Transaction;
use super::owned::read;
use crate::csv;
use crate::http::problem::Problem;
use crate::http::reply::{Csv, Refused};
use crate::keyed_limit::UserPermit;
use crate::routes::prelude::*;
use crate::routes::range::Time;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use poem::{Body, Request, Response};
use poem_openapi::auth::{Bearer, BearerAuthorization};
use secrecy::{ExposeSecret, SecretString};
use tiris_runtime::trace::{self, Trace};
use tiris_store::entity::transactions::Entity;
use tracing::Instrument;

operation!(ExportTransactions: User, General, [
    INVALID_FILTER,
    (
        429,
        "`RATE_LIMITED`: the caller runs too many exports, or the allowance `general` of the caller is used up; \
         `Retry-After` gives the seconds to wait",
    ),
]);

/// Rows of one page, unless they are large.
const ROWS_AT_ONCE: u64 = 200;
/// Rows of one page at least.
const ROWS_AT_ONCE_MIN: u64 = 8;
/// The fields of [`Transaction`], in their order.
const COLUMNS: &str = "id,user_id,trading_id,sub_account_id,timestamp,event_time,direction,reason,amount,closing_balance,\
    price,quote_symbol,fee,order_id,sequence,event_id,trading_log_id,info";

/// A page as CSV lines.
struct Lines {
    text: Vec<u8>,
    next: Option<Next>,
}

/// The next page.
struct Next {
    cursor: String,
    /// Its rows at most: not many more than those that fitted into the page before, so that few are read in vain.
    rows: u64,
}

#[OpenApi(prefix_path = "/v1/transactions", tag = "Tag::Transactions")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl ExportTransactions {
    /// Export the caller's transactions
    ///
    /// Returns a CSV file (RFC 4180) with a header row and all transactions that match all given filters, newest first.
    /// Texts that a spreadsheet would run as a formula, because they begin with `=`, `+`, `-` or `@`, get a leading
    /// apostrophe. An export that fails is cut off, which HTTP clients report as an incomplete transfer. A user can run a
    /// few exports at once; a further one fails with `RATE_LIMITED`.
    #[oai(path = "/export", method = "get", operation_id = "exportTransactions")]
    async fn export(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        request: &Request,
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
    ) -> std::result::Result<Csv, Refused<Self>> {
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
        let csv = of_request(request, &state, caller.user(), rows).await?;
        Ok(Csv(csv))
    }
}

/// Streams `rows` as long as the session of the request lasts.
pub(super) async fn of_request(
    request: &Request,
    state: &State,
    user: UserId,
    rows: Select<Entity>,
) -> std::result::Result<Response, Problem> {
    let bearer = Bearer::from_request(request).map_err(|_| Error::AuthRequired)?;
    stream(state.clone(), user, bearer.token.into(), rows).await
}

/// The state of a running export.
struct Reader {
    state: State,
    user: UserId,
    rows: Select<Entity>,
    token: SecretString,
    _permit: UserPermit,
}

/// Streams `rows` to `user`, newest first, as long as `token` stays valid; rows added during the export are left out. The
/// first page is read before the response begins, so that its errors still have a status.
async fn stream(
    state: State,
    user: UserId,
    token: SecretString,
    rows: Select<Entity>,
) -> std::result::Result<Response, Problem> {
    let permit = state.streams.exports.take(user)?;
    let reader = Reader {
        state,
        user,
        rows,
        token,
        _permit: permit,
    };
    let first = reader.page(None).await?;
    let head = Bytes::from([csv::header(COLUMNS).into_bytes(), first.text].concat());

    let span = tracing::Span::current();
    let trace = trace::current().unwrap_or_else(Trace::begin);
    let rest = stream::unfold((reader, first.next), move |(reader, next)| {
        let page = async move {
            let next = next?;
            match reader.next(next).await {
                Ok(lines) => Some((Ok(Bytes::from(lines.text)), (reader, lines.next))),
                Err(error) => cut_off(&error),
            }
        };
        trace.clone().scope(page.instrument(span.clone()))
    });
    let all = stream::once(async { Ok::<_, std::io::Error>(head) }).chain(rest);

    let body = Body::from_bytes_stream(all);
    Ok(csv::response("transactions.csv", body))
}

/// Aborts the connection, so that the client notices the incomplete response. After a stream error the framework would
/// end the response properly.
fn cut_off(error: &Error) -> ! {
    tracing::error!(error = error as &dyn std::error::Error, "a CSV was cut off");
    std::panic::resume_unwind(Box::new("a CSV was cut off"))
}

impl Reader {
    /// Reads a further page if the token is still valid.
    async fn next(&self, next: Next) -> Result<Lines> {
        self.state
            .sessions
            .of_token(self.token.expose_secret())
            .await?;
        self.page(Some(next)).await
    }

    /// Reads a page.
    async fn page(&self, place: Option<Next>) -> Result<Lines> {
        let rows = place.as_ref().map_or(ROWS_AT_ONCE, |next| next.rows);
        let cursor = place.as_ref().map(|next| next.cursor.as_str());
        let page = Page::new(Some(rows), cursor, None, None)?;
        let mut answer = self.state.answers.begin(self.user).part();
        let line = |row: &Transaction| {
            let mut line = String::new();
            csv::line(&mut line, COLUMNS, row)?;
            Ok(line)
        };
        let rows = self.rows.clone();
        let (lines, pagination) = read(&mut answer, &self.state, &page, rows, line).await?;

        let fitted = u64::try_from(lines.len()).unwrap_or(ROWS_AT_ONCE);
        let rows = fitted.saturating_mul(2);
        let next = pagination.next_cursor.map(|cursor| Next {
            cursor,
            rows: rows.clamp(ROWS_AT_ONCE_MIN, ROWS_AT_ONCE),
        });
        Ok(Lines {
            text: lines.concat().into_bytes(),
            next,
        })
    }
}
