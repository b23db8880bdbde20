//! Reads the rows of a page one by one, and stops when the answer has enough of them or enough bytes.

use super::answer::{Answer, Room};
use super::page::{Cursor, Pagination, Part};
use crate::entities::Entities;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, PaginatorTrait, Select, SelectTwo};
use serde_json::value::RawValue;
use tiris_store::error::Result;
use uuid::Uuid;

/// Rows of the first query of a page: the database reads no more of them in vain when a page is full of large rows.
const FIRST_ROWS: u64 = 128;
/// Rows of a further query at least.
const NEXT_ROWS_MIN: u64 = 16;

/// A query whose rows can be read one by one.
pub(crate) trait Rows: Clone + Send {
    type Row: Send;

    /// Streams a part of the rows, newest first by these columns. A row may be repeated, one after the other.
    fn stream_part<C: ColumnTrait>(
        self,
        columns: (C, C),
        part: Part,
        db: &Entities,
    ) -> BoxFuture<'_, Streamed<'_, Self::Row>>;

    /// Counts the rows.
    fn count_all(self, db: &Entities) -> BoxFuture<'_, Result<u64, DbErr>>;
}

pub(crate) type Streamed<'a, R> = Result<BoxStream<'a, Result<R, DbErr>>, DbErr>;

impl<E: EntityTrait<Model: Send + Sync>> Rows for Select<E> {
    type Row = E::Model;

    fn stream_part<C: ColumnTrait>(
        self,
        columns: (C, C),
        part: Part,
        db: &Entities,
    ) -> BoxFuture<'_, Streamed<'_, Self::Row>> {
        let rows = part.of(self, columns);
        Box::pin(rows.into_model::<E::Model>().stream(db))
    }

    fn count_all(self, db: &Entities) -> BoxFuture<'_, Result<u64, DbErr>> {
        Box::pin(self.count(db))
    }
}

impl<E, F> Rows for SelectTwo<E, F>
where
    E: EntityTrait<Model: Send + Sync>,
    F: EntityTrait<Model: Send + Sync>,
{
    type Row = (E::Model, Option<F::Model>);

    fn stream_part<C: ColumnTrait>(
        self,
        columns: (C, C),
        part: Part,
        db: &Entities,
    ) -> BoxFuture<'_, Streamed<'_, Self::Row>> {
        let rows = part.of(self, columns);
        Box::pin(rows.into_model::<E::Model, F::Model>().stream(db))
    }

    fn count_all(self, db: &Entities) -> BoxFuture<'_, Result<u64, DbErr>> {
        Box::pin(self.count(db))
    }
}

/// A list to read pages of: its rows, and the columns of time and id that order them.
pub(crate) struct List<Q: Rows, C> {
    pub(crate) rows: Q,
    pub(crate) columns: (C, C),
    /// Returns both columns of a row.
    pub(crate) key: fn(&Q::Row) -> (DateTime<Utc>, Uuid),
}

// Derived, it would require rows that can be cloned.
impl<Q: Rows, C: Copy> Clone for List<Q, C> {
    fn clone(&self) -> Self {
        Self {
            rows: self.rows.clone(),
            columns: self.columns,
            key: self.key,
        }
    }
}

/// A row as it is sent.
pub(crate) trait Item: Send {
    /// Returns its size.
    fn bytes(&self) -> usize;
}

impl Item for Box<RawValue> {
    fn bytes(&self) -> usize {
        self.get().len()
    }
}

/// A line of CSV.
impl Item for String {
    fn bytes(&self) -> usize {
        self.len()
    }
}

/// The reason why a query has no more rows for a page.
pub(super) enum Stop {
    /// The query has no further rows; holds their number.
    End(u64),
    /// The page is full, and there are further rows.
    Full,
    /// The next row fits only into a large answer.
    Large,
}

/// A page, or the finding that it needs a large answer.
pub(super) enum Found<I> {
    Page(Vec<I>, Pagination),
    OnlyInLarge,
}

/// A page while it is read.
pub(super) struct Reading<'a, I> {
    limit: u64,
    count: u64,
    /// Rows that were read, repeated ones included.
    received: u64,
    pub(super) answer: &'a mut Answer,
    pub(super) items: Vec<I>,
    pub(super) last: Option<Cursor>,
}

impl<'a, I: Item> Reading<'a, I> {
    pub(super) fn new(limit: u64, answer: &'a mut Answer) -> Self {
        answer.restart();
        Self {
            limit,
            count: 0,
            received: 0,
            answer,
            items: Vec::new(),
            last: None,
        }
    }

    /// Returns how many rows to query next: those that are missing, and one that proves that there are more; more where
    /// rows are repeated, and fewer where the answer will be full before, judging by the rows so far.
    pub(super) fn next_chunk(&self) -> u64 {
        let missing = self.limit - self.count + 1;
        let missing = missing * self.received.div_ceil(self.count.max(1)).max(1);
        let row = match (self.count, self.answer.expected_row()) {
            (0, None) => return missing.min(FIRST_ROWS),
            (0, Some(row)) => count_of(row),
            (rows, _) => count_of(self.answer.bytes()) / rows,
        };

        let fitting = count_of(self.answer.left()) / row.max(1) + 1;
        missing.min(fitting.max(NEXT_ROWS_MIN))
    }

    /// Reads the rows of a query until one does not fit.
    pub(super) async fn read<Q: Rows, C: ColumnTrait>(
        &mut self,
        db: &Entities,
        list: List<Q, C>,
        part: Part,
        convert: &(impl Fn(Q::Row) -> Result<I> + Send + Sync),
    ) -> Result<Stop> {
        let mut rows = list.rows.stream_part(list.columns, part, db).await?;
        let mut received = 0;

        while let Some(row) = rows.try_next().await? {
            let key = Cursor::from((list.key)(&row));
            if self.last == Some(key) {
                received += 1;
                self.received += 1;
                continue;
            }
            if self.count == self.limit {
                return Ok(Stop::Full);
            }

            let item = convert(row)?;
            match self.answer.room(item.bytes()) {
                Room::None if self.count > 0 => return Ok(Stop::Full),
                Room::OnlyInLarge => {
                    let rows = usize::try_from(self.count + 1).unwrap_or(usize::MAX);
                    let bytes = self.answer.bytes() + item.bytes();
                    self.answer.expect_rows_of(bytes / rows);
                    return Ok(Stop::Large);
                }
                Room::Enough | Room::None => {}
            }

            self.answer.add(item.bytes());
            self.items.push(item);
            self.last = Some(key);
            self.count += 1;
            self.received += 1;
            received += 1;
        }
        Ok(Stop::End(received))
    }
}

fn count_of(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
