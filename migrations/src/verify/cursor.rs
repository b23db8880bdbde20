//! Rows of a large query one after the other, in bounded memory and on one connection with others.
//!
//! Owns: fetching in blocks. Must not know: what the rows are.

use indicatif::ProgressBar;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use std::vec;

/// Rows fetched at once.
const BLOCK_ROWS: u32 = 5_000;

/// An open server-side cursor whose next row can be looked at before it is taken.
pub(super) struct Cursor<T> {
    fetch: String,
    block: vec::IntoIter<T>,
    peeked: Option<T>,
    at_end: bool,
}

impl<T> Cursor<T>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    /// Declares cursor `name`, which must be unique in the transaction, for a constant query.
    pub(super) async fn open(
        connection: &mut PgConnection,
        name: &'static str,
        query: &'static str,
    ) -> sqlx::Result<Self> {
        let declare = format!("DECLARE {name} NO SCROLL CURSOR FOR {query}");
        sqlx::query(AssertSqlSafe(declare))
            .persistent(false)
            .execute(connection)
            .await?;

        let fetch = format!("FETCH {BLOCK_ROWS} FROM {name}");
        Ok(Self {
            fetch,
            block: Vec::new().into_iter(),
            peeked: None,
            at_end: false,
        })
    }

    /// The next row, which stays; `None` at the end.
    pub(super) async fn peek(
        &mut self,
        connection: &mut PgConnection,
        progress: &ProgressBar,
    ) -> sqlx::Result<Option<&T>> {
        if self.peeked.is_none() {
            self.peeked = self.take(connection, progress).await?;
        }
        Ok(self.peeked.as_ref())
    }

    /// The next row when `wanted` says so; otherwise it stays.
    pub(super) async fn next_if(
        &mut self,
        connection: &mut PgConnection,
        progress: &ProgressBar,
        wanted: impl Fn(&T) -> bool,
    ) -> sqlx::Result<Option<T>> {
        let matches = self.peek(connection, progress).await?.is_some_and(wanted);
        Ok(if matches { self.peeked.take() } else { None })
    }

    /// The next row; `None` at the end.
    pub(super) async fn next(
        &mut self,
        connection: &mut PgConnection,
        progress: &ProgressBar,
    ) -> sqlx::Result<Option<T>> {
        self.next_if(connection, progress, |_| true).await
    }

    async fn take(
        &mut self,
        connection: &mut PgConnection,
        progress: &ProgressBar,
    ) -> sqlx::Result<Option<T>> {
        if let Some(row) = self.block.next() {
            return Ok(Some(row));
        }
        if self.at_end {
            return Ok(None);
        }

        let rows: Vec<T> = sqlx::query_as(AssertSqlSafe(self.fetch.as_str()))
            .persistent(false)
            .fetch_all(connection)
            .await?;

        progress.inc(rows.len() as u64);
        self.at_end = rows.is_empty();
        self.block = rows.into_iter();
        Ok(self.block.next())
    }
}
