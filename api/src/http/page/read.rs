//! Reads a page when it is the turn of its answer, from the primary or from the replica.

use super::{Cursor, Page, Pagination, Part, Start};
use crate::entities::Entities;
use crate::history::Histories;
use crate::http::answer::Answer;
use crate::http::reading::{Found, Item, List, Reading, Rows, Stop};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ColumnTrait;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tiris_runtime::telemetry::timed_by_caller;
use tiris_store::error::Result;
use uuid::Uuid;

/// How far back the first attempt at a page of a history looks: planning costs grow with the number of partitions, and
/// most pages are full before the third month.
const NEAR: TimeDelta = TimeDelta::days(40);

impl Page {
    /// Reads a page of a history like [`Self::read`], from the replica where the page is old enough; `trading` returns the
    /// trading of a row. The latest partitions are tried first, and all of them when the page is not full.
    pub(crate) async fn read_history<Q: Rows, C: ColumnTrait, I: Item>(
        &self,
        answer: &mut Answer,
        histories: &Histories,
        list: List<Q, C>,
        trading: fn(&Q::Row) -> Uuid,
        convert: impl Fn(Q::Row) -> Result<I> + Send + Sync,
    ) -> Result<(Vec<I>, Pagination)> {
        loop {
            let turn = answer.turn().await?;
            let found = self.try_history(answer, histories, &list, trading, &convert);
            if let Found::Page(rows, pagination) = found.await? {
                return Ok((rows, pagination));
            }

            drop(turn);
            answer.enlarge().await?;
        }
    }

    async fn try_history<Q: Rows, C: ColumnTrait, I: Item>(
        &self,
        answer: &mut Answer,
        histories: &Histories,
        list: &List<Q, C>,
        trading: fn(&Q::Row) -> Uuid,
        convert: &(impl Fn(Q::Row) -> Result<I> + Send + Sync),
    ) -> Result<Found<I>> {
        let (replica, until) = match self.start {
            // A total counts all rows, new ones included.
            _ if self.include_total => (None, None),
            Start::First => (None, Some(Utc::now())),
            Start::After(Cursor { timestamp, .. }) => {
                (histories.replica(timestamp).await, Some(timestamp))
            }
            Start::Offset(_) => (None, None),
        };
        let near = until.and_then(|until| until.checked_sub_signed(NEAR));

        if let Some(replica) = replica {
            let tradings = Mutex::new(BTreeSet::new());
            let noted = |row: Q::Row| {
                lock(&tradings).insert(trading(&row));
                convert(row)
            };
            let read = self.latest_first(answer, replica.db(), list, near, &noted);
            let found = replica.query(read).await;
            let seen = lock(&tradings).iter().copied().collect();
            if let Some(found) = found
                && histories.are_living(seen).await?
            {
                return Ok(found);
            }
        }
        self.latest_first(answer, histories.lists(), list, near, convert)
            .await
    }

    async fn latest_first<Q: Rows, C: ColumnTrait, I: Item>(
        &self,
        answer: &mut Answer,
        db: &Entities,
        list: &List<Q, C>,
        near: Option<DateTime<Utc>>,
        convert: &(impl Fn(Q::Row) -> Result<I> + Send + Sync),
    ) -> Result<Found<I>> {
        if near.is_some() {
            let found = self.try_read(answer, db, list, near, convert).await?;
            let is_final = match &found {
                Found::Page(_, pagination) => pagination.has_more,
                Found::OnlyInLarge => true,
            };
            if is_final {
                return Ok(found);
            }
        }
        self.try_read(answer, db, list, None, convert).await
    }

    /// Reads the page of a list row by row, until it has all rows or as many bytes as the answer may have. Waits for the
    /// turn of the answer, without a connection.
    pub(crate) async fn read<Q: Rows, C: ColumnTrait, I: Item>(
        &self,
        answer: &mut Answer,
        db: &Entities,
        list: List<Q, C>,
        convert: impl Fn(Q::Row) -> Result<I> + Send + Sync,
    ) -> Result<(Vec<I>, Pagination)> {
        loop {
            let turn = answer.turn().await?;
            let found = self.try_read(answer, db, &list, None, &convert).await?;
            if let Found::Page(rows, pagination) = found {
                return Ok((rows, pagination));
            }

            drop(turn);
            answer.enlarge().await?;
        }
    }

    /// Reads the page, unless it needs a large answer; with a time, only its rows from then on.
    async fn try_read<Q: Rows, C: ColumnTrait, I: Item>(
        &self,
        answer: &mut Answer,
        db: &Entities,
        list: &List<Q, C>,
        since: Option<DateTime<Utc>>,
        convert: &(impl Fn(Q::Row) -> Result<I> + Send + Sync),
    ) -> Result<Found<I>> {
        let mut reading = Reading::new(self.limit, answer);
        let mut start = self.start;

        let has_more = loop {
            let part = Part {
                start,
                since,
                limit: reading.next_chunk(),
            };
            let stop = timed_by_caller(reading.read(db, list.clone(), part, convert)).await?;
            match stop {
                Stop::Full => break true,
                Stop::End(received) if received < part.limit => break false,
                Stop::End(_) => {}
                Stop::Large => return Ok(Found::OnlyInLarge),
            }
            if let Some(last) = reading.last {
                start = Start::After(last);
            }
        };

        let last = reading.last.filter(|_| has_more);
        let rows = reading.items;
        let total = if self.include_total {
            Some(list.rows.clone().count_all(db).await?)
        } else {
            None
        };
        let pagination = Pagination {
            offset: match self.start {
                Start::Offset(offset) => Some(offset),
                Start::After(_) | Start::First => None,
            },
            total,
            ..Pagination::new(self.limit, last.map(Cursor::encode))
        };
        Ok(Found::Page(rows, pagination))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
