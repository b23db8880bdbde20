//! Reads the rows of a large query in bounded memory, through a cursor that shares its connection with others.

use super::snapshot::Snapshot;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow};
use std::iter::Peekable;
use std::vec;

/// Rows per fetch.
const BLOCK_ROWS: u32 = 5_000;

/// An open server-side cursor.
pub(super) struct Cursor<T> {
    fetch: String,
    block: Peekable<vec::IntoIter<T>>,
    at_end: bool,
}

impl<T> Cursor<T>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    /// Declares a cursor for a constant query; its name must be unique in the transaction.
    pub(super) async fn open(
        snapshot: &mut Snapshot<'_>,
        name: &'static str,
        query: &'static str,
    ) -> sqlx::Result<Self> {
        let declare = format!("DECLARE {name} NO SCROLL CURSOR FOR {query}");
        sqlx::query(AssertSqlSafe(declare))
            .persistent(false)
            .execute(&mut *snapshot.connection)
            .await?;

        Ok(Self {
            fetch: format!("FETCH {BLOCK_ROWS} FROM {name}"),
            block: Vec::new().into_iter().peekable(),
            at_end: false,
        })
    }

    /// Returns the next row; `None` at the end.
    pub(super) async fn next(&mut self, snapshot: &mut Snapshot<'_>) -> sqlx::Result<Option<T>> {
        self.next_if(snapshot, |_| true).await
    }

    /// Returns the next row if it `is_wanted`; otherwise it stays the next one.
    pub(super) async fn next_if(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        is_wanted: impl Fn(&T) -> bool,
    ) -> sqlx::Result<Option<T>> {
        if self.block.peek().is_none() && !self.at_end {
            self.fetch(snapshot).await?;
        }
        Ok(self.block.next_if(is_wanted))
    }

    async fn fetch(&mut self, snapshot: &mut Snapshot<'_>) -> sqlx::Result<()> {
        let rows: Vec<T> = sqlx::query_as(AssertSqlSafe(self.fetch.as_str()))
            .persistent(false)
            .fetch_all(&mut *snapshot.connection)
            .await?;

        snapshot.progress.inc(rows.len() as u64);
        self.at_end = rows.is_empty();
        self.block = rows.into_iter().peekable();
        Ok(())
    }
}
