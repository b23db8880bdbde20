//! Reads what is new to a stream, in bounded pages, in the order in which it is sent.
//!
//! Owns: snapshots, what counts as new, and the SQL. Must not know: what wakes a stream, how rows look to clients.

use super::cursor::{EventId, Kind};
use super::{RESUME_MAX, WINDOW};
use crate::entities::Entities;
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use sqlx::PgPool;
use std::collections::HashMap;
use std::time::Duration;
use tiris_domain::ids::UserId;
use tiris_store::entity::{sub_accounts, trading_logs, transactions};
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Rows of a page; a row has at most some ten kilobytes.
const PAGE: i64 = 100;
/// How far ahead of a snapshot's own time a row in it may be stamped; the clock may also be set back.
const AHEAD_MAX: Duration = Duration::from_secs(60);
/// A snapshot in which nothing is visible.
const NOTHING: &str = "3:3:";

/// A row to be sent.
#[derive(Debug)]
pub(crate) enum Row {
    Transaction(transactions::Model),
    TradingLog(trading_logs::Model),
    SubAccount(sub_accounts::Model),
}

/// Which transactions are visible.
#[derive(Clone, Debug, sqlx::FromRow)]
struct Snapshot {
    text: String,
    /// Id of the next transaction then.
    next: i64,
    /// Not later than the snapshot itself.
    taken_at: DateTime<Utc>,
}

/// One way through all that is new, in pages.
#[derive(Clone, Debug)]
struct Pass {
    snapshot: Snapshot,
    /// The last row of the page before.
    after: EventId,
}

/// What is new to one stream.
#[derive(Debug)]
pub(super) struct Reader {
    pool: PgPool,
    db: Entities,
    user: UserId,
    /// What was seen; none before the first pass of a stream that resumes.
    seen: Option<Snapshot>,
    /// No row that is new carries an earlier time.
    from: DateTime<Utc>,
    pass: Option<Pass>,
}

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// With what comes now.
    Now(EventId),
    /// Where the client was.
    Resumed,
    /// With what comes now, because the client was too far behind.
    Reset(EventId),
}

impl Reader {
    /// A reader of what `user` does not know yet, whose last event was `last`.
    pub(super) async fn begin(
        pool: PgPool,
        user: UserId,
        last: Option<EventId>,
    ) -> Result<(Self, Begin)> {
        let now = snapshot(&pool).await?;
        let start = EventId::start(now.taken_at);
        let (seen, begin, from) = match last {
            None => (Some(now.clone()), Begin::Now(start), now.taken_at),
            Some(last) if last.at < now.taken_at - RESUME_MAX => {
                (Some(now.clone()), Begin::Reset(start), now.taken_at)
            }
            Some(last) => (None, Begin::Resumed, last.at.min(now.taken_at)),
        };

        let db = Entities::new(pool.clone());

        Ok((
            Self {
                pool,
                db,
                user,
                seen,
                from: from - WINDOW,
                pass: None,
            },
            begin,
        ))
    }

    /// Whether the last page was not the end of its pass.
    pub(super) const fn is_under_way(&self) -> bool {
        self.pass.is_some()
    }

    /// The next page of what is new. After a failure the same page is read again.
    pub(super) async fn page(&mut self) -> Result<Vec<(EventId, Row)>> {
        let pass = match &self.pass {
            Some(pass) => pass.clone(),
            None => Pass {
                snapshot: snapshot(&self.pool).await?,
                after: EventId::start(self.from),
            },
        };

        if self
            .seen
            .as_ref()
            .is_some_and(|seen| seen.next > pass.snapshot.next)
        {
            return Err(Error::internal(
                "the database went back to an earlier state",
            ));
        }

        let keys = self.keys(&pass).await?;
        let rows = self.rows(&keys).await?;

        self.pass = match keys.last() {
            Some(last) if i64::try_from(keys.len()) == Ok(PAGE) => Some(Pass {
                after: *last,
                ..pass
            }),
            _ => {
                self.from = pass.snapshot.taken_at - WINDOW;
                self.seen = Some(pass.snapshot);
                None
            }
        };

        Ok(rows)
    }

    async fn keys(&self, pass: &Pass) -> Result<Vec<EventId>> {
        let Pass { snapshot, after } = pass;
        // Before the first pass everything is new that was there; what was committed so long ago is in the snapshot.
        let settled = if self.seen.is_none() {
            snapshot.taken_at - WINDOW
        } else {
            self.from
        };

        // Planned with these very times: what TimescaleDB has compressed has no xmin, and no plan may come near it.
        let keys: Vec<(i16, DateTime<Utc>, Uuid)> = sqlx::query_as(KEYS)
            .persistent(false)
            .bind(self.user.0)
            .bind(after.at)
            .bind(snapshot.taken_at + AHEAD_MAX)
            .bind(PAGE)
            .bind(settled)
            .bind(&snapshot.text)
            .bind(self.seen.as_ref().map_or(NOTHING, |seen| &seen.text))
            .bind(snapshot.next)
            .bind(after.passed(Kind::Transaction))
            .bind(after.passed(Kind::TradingLog))
            .bind(after.passed(Kind::SubAccount))
            .fetch_all(&self.pool)
            .await?;

        let id = |(kind, at, row): (i16, DateTime<Utc>, Uuid)| {
            let kind = match kind {
                1 => Kind::Transaction,
                2 => Kind::TradingLog,
                _ => Kind::SubAccount,
            };
            EventId { at, kind, row }
        };

        Ok(keys.into_iter().map(id).collect())
    }

    /// The rows of the keys, without those that are gone or have changed since: those are new to a later pass.
    async fn rows(&self, keys: &[EventId]) -> Result<Vec<(EventId, Row)>> {
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
            return Ok(Vec::new());
        };
        let ids = |kind| -> Vec<Uuid> {
            keys.iter()
                .filter(|key| key.kind == kind)
                .map(|key| key.row)
                .collect()
        };

        let mut found: HashMap<(Kind, Uuid), Row> = HashMap::with_capacity(keys.len());
        let wanted = ids(Kind::Transaction);

        if !wanted.is_empty() {
            use transactions::{Column, Entity};
            let rows = Entity::find().filter(Column::Id.is_in(wanted));
            let rows = rows
                .filter(Column::Timestamp.between(first.at, last.at))
                .all(&self.db)
                .await?;
            found.extend(
                rows.into_iter()
                    .map(|row| ((Kind::Transaction, row.id), Row::Transaction(row))),
            );
        }

        let wanted = ids(Kind::TradingLog);

        if !wanted.is_empty() {
            use trading_logs::{Column, Entity};
            let rows = Entity::find().filter(Column::Id.is_in(wanted));
            let rows = rows
                .filter(Column::Timestamp.between(first.at, last.at))
                .all(&self.db)
                .await?;
            found.extend(
                rows.into_iter()
                    .map(|row| ((Kind::TradingLog, row.id), Row::TradingLog(row))),
            );
        }

        let wanted = ids(Kind::SubAccount);

        if !wanted.is_empty() {
            use sub_accounts::{Column, Entity};
            let rows = Entity::find().filter(Column::Id.is_in(wanted));
            let rows = rows
                .filter(Column::DeletedAt.is_null())
                .all(&self.db)
                .await?;
            found.extend(
                rows.into_iter()
                    .map(|row| ((Kind::SubAccount, row.id), Row::SubAccount(row))),
            );
        }

        let row = |key: &EventId| {
            let row = found.remove(&(key.kind, key.row))?;
            let is_changed =
                matches!(&row, Row::SubAccount(account) if account.updated_at != key.at);
            (!is_changed).then_some((*key, row))
        };

        Ok(keys.iter().filter_map(row).collect())
    }
}

async fn snapshot(pool: &PgPool) -> Result<Snapshot> {
    let snapshot = sqlx::query_as(
        "SELECT s::text AS text, pg_snapshot_xmax(s)::text::bigint AS next, now() AS taken_at FROM pg_current_snapshot() s",
    )
    .fetch_one(pool)
    .await?;
    Ok(snapshot)
}

/// Rows of one table that are new: from $2 until $3, behind the row `$passed` of the time $2, and either older than $5, or
/// visible in the snapshot $6 and not in $7. A row carries the lower half of its transaction's id; $8 is an id near it.
macro_rules! new_rows {
    ($kind:literal, $table:literal, $time:literal, $passed:literal, $more:expr) => {
        concat!(
            "(SELECT ",
            $kind,
            "::smallint AS kind, ",
            $time,
            " AS at, id FROM ",
            $table,
            ", \
             LATERAL (SELECT ($8 + ((",
            $table,
            ".xmin::text::bigint - $8 + 2147483648) & 4294967295) - 2147483648)\
             ::text::xid8 AS writer) w WHERE user_id = $1",
            $more,
            " AND ",
            $time,
            " >= $2 AND ",
            $time,
            " < $3 \
             AND (",
            $time,
            ", id) > ($2, ",
            $passed,
            ") AND (",
            $time,
            " < $5 OR \
             (pg_visible_in_snapshot(writer, $6::text::pg_snapshot) \
             AND NOT pg_visible_in_snapshot(writer, $7::text::pg_snapshot))) ORDER BY at, id LIMIT $4)"
        )
    };
}

/// What a deleted trading held is gone for its user at once, though the last row goes later.
macro_rules! kept {
    () => {
        " AND trading_id NOT IN (SELECT id FROM tradings WHERE user_id = $1 AND status = 'deleting')"
    };
}

const KEYS: &str = concat!(
    new_rows!("1", "transactions", "timestamp", "$9", kept!()),
    " UNION ALL ",
    new_rows!("2", "trading_logs", "timestamp", "$10", kept!()),
    " UNION ALL ",
    new_rows!(
        "3",
        "sub_accounts",
        "updated_at",
        "$11",
        " AND deleted_at IS NULL"
    ),
    " ORDER BY at, kind, id LIMIT $4"
);
