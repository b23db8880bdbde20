//! All transactions a filter selects, as CSV: read page by page while the client takes them.
//!
//! Owns: the order of reading, and what ends it on the way. Must not know: filters. Memory holds one page, the database is
//! busy for one page at a time, few exports of a user are under way at once, and one ends when its client goes away or
//! its session is over.

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

/// Rows read at once: with their free JSON at most some 3 MiB.
const ROWS_AT_ONCE: u64 = 200;
/// In the order of an answer's fields.
const COLUMNS: &str = "id,user_id,trading_id,sub_account_id,timestamp,event_time,direction,reason,amount,closing_balance,\
    price,quote_symbol,fee,order_id,sequence,event_id,trading_log_id,info";

/// The rest of a list.
struct Reader {
    state: State,
    rows: Select<Entity>,
    token: SecretString,
    _permit: UserPermit,
}

/// Answers `user`, who has sent `token`, with `rows`, newest first; what comes in meanwhile is left out. The first page is
/// read before the answer begins, so that trouble is still told as such.
pub(super) async fn stream(
    state: State,
    user: UserId,
    token: SecretString,
    rows: Select<Entity>,
) -> std::result::Result<Response, Problem> {
    let permit = state.streams.exports.take(user)?;
    let reader = Reader {
        state,
        rows,
        token,
        _permit: permit,
    };
    let (first, next) = reader.page(None).await?;
    let head = Bytes::from([csv::header(COLUMNS).into_bytes(), first].concat());

    let span = tracing::Span::current();
    let trace = trace::current().unwrap_or_else(Trace::begin);
    let rest = stream::unfold((reader, next), move |(reader, next)| {
        let page = async move {
            let cursor = next?;
            match reader.next(&cursor).await {
                Ok((lines, next)) => Some((Ok(Bytes::from(lines)), (reader, next))),
                Err(error) => cut_off(&error),
            }
        };
        trace.clone().scope(page.instrument(span.clone()))
    });
    let all = stream::once(async { Ok::<_, std::io::Error>(head) }).chain(rest);

    let body = Body::from_bytes_stream(all);
    Ok(csv::response("transactions.csv", body))
}

/// Ends the connection, because the answer has begun and all that can be told is that it does not come to its end. An
/// error in its place would be lost: the framework goes on with the connection and writes a proper end.
fn cut_off(error: &Error) -> ! {
    tracing::error!(error = error as &dyn std::error::Error, "a CSV was cut off");
    std::panic::resume_unwind(Box::new("a CSV was cut off"))
}

impl Reader {
    /// A further page, for as long as the token is good.
    async fn next(&self, cursor: &str) -> Result<(Vec<u8>, Option<String>)> {
        self.state
            .sessions
            .of_token(self.token.expose_secret())
            .await?;
        self.page(Some(cursor)).await
    }

    /// One page as lines, and where the next one begins.
    async fn page(&self, cursor: Option<&str>) -> Result<(Vec<u8>, Option<String>)> {
        let page = Page::new(Some(ROWS_AT_ONCE), cursor, None, None)?;
        // Half of the connections to the database are left to requests. The semaphore is never closed.
        let _turn = self.state.streams.reads.acquire().await.ok();
        let (rows, pagination) = read(&self.state, &page, self.rows.clone()).await?;
        let mut lines = String::new();
        for row in rows {
            csv::line(&mut lines, COLUMNS, &Transaction::try_from(row)?)?;
        }
        Ok((lines.into_bytes(), pagination.next_cursor))
    }
}
