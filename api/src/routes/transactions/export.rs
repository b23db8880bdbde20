//! Transactions as a CSV stream, read page by page as the client consumes it.
//!
//! Memory holds one page and the database works on one page at a time. A user can run a few exports at once; an export
//! ends when its client disconnects or its session ends.

use super::object::Transaction;
use super::owned::read;
use crate::csv;
use crate::http::page::Page;
use crate::http::problem::Problem;
use crate::keyed_limit::UserPermit;
use crate::state::State;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use poem::{Body, Response};
use sea_orm::Select;
use secrecy::{ExposeSecret, SecretString};
use tiris_domain::ids::UserId;
use tiris_runtime::trace::{self, Trace};
use tiris_store::entity::transactions::Entity;
use tiris_store::error::{Error, Result};
use tracing::Instrument;

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
pub(super) async fn stream(
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
