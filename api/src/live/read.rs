//! Reads the rows that are new to a stream, in bounded pages and in the order in which they are sent.

use super::cursor::{EventId, Kind};
use super::{RESUME_MAX, WINDOW};
use crate::entities::Entities;
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use sqlx::PgPool;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;
use tiris_domain::ids::UserId;
use tiris_store::entity::{dead_letters, orders, sub_accounts, trading_logs, transactions};
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Rows of a page. Free JSON of 16 KiB can take half a megabyte while it is read.
const PAGE: i64 = 25;
/// Tolerated lead of a row's timestamp over its snapshot, for clocks that are set back.
const AHEAD_MAX: Duration = Duration::from_secs(60);
/// A snapshot in which nothing is visible.
const NOTHING: &str = "3:3:";

/// An item of a stream.
#[derive(Debug)]
pub(crate) enum Item {
    /// The start of a new stream.
    Start(EventId),
    /// The start of a stream that cannot resume where the client was.
    Reset(EventId),
    /// The traces that wrote rows which follow, or which were sent just before.
    Traces(Vec<String>),
    /// A row as it is sent.
    Row(String),
}

/// A changed row.
#[derive(Debug)]
pub(crate) enum Row {
    Transaction(transactions::Model),
    TradingLog(trading_logs::Model),
    SubAccount(sub_accounts::Model),
    Order(orders::Model),
    DeadLetter(dead_letters::Model),
}

/// The visible transactions.
#[derive(Clone, Debug, sqlx::FromRow)]
struct Snapshot {
    text: String,
    /// Id of the next transaction.
    next: i64,
    /// At most as late as the snapshot itself.
    taken_at: DateTime<Utc>,
}

/// A pass over all new rows, in pages.
#[derive(Clone, Debug)]
struct Pass {
    snapshot: Snapshot,
    /// The last row of the previous page.
    after: EventId,
}

/// Reads the rows that are new to a stream.
#[derive(Debug)]
pub(super) struct Reader {
    pool: PgPool,
    db: Entities,
    user: UserId,
    /// The snapshot of the previous pass, `None` before the first pass of a stream that resumes.
    seen: Option<Snapshot>,
    /// No new row has an earlier time.
    from: DateTime<Utc>,
    pass: Option<Pass>,
}

impl Reader {
    /// Returns a reader for a user whose last event was `last`, and the first item unless the stream resumes.
    pub(super) async fn begin(
        pool: PgPool,
        user: UserId,
        last: Option<EventId>,
    ) -> Result<(Self, Option<Item>)> {
        let now = snapshot(&pool).await?;
        let start = EventId::start(now.taken_at);
        let (first, from) = match last {
            None => (Some(Item::Start(start)), now.taken_at),
            Some(last) if last.at < now.taken_at - RESUME_MAX => {
                (Some(Item::Reset(start)), now.taken_at)
            }
            Some(last) => (None, last.at.min(now.taken_at)),
        };

        let reader = Self {
            db: Entities::new(pool.clone()),
            pool,
            user,
            seen: first.is_some().then_some(now),
            from: from - WINDOW,
            pass: None,
        };
        Ok((reader, first))
    }

    /// Returns whether the current pass has more pages.
    pub(super) const fn is_under_way(&self) -> bool {
        self.pass.is_some()
    }

    /// Returns the next page of new rows. After a failure the next call reads the same page.
    pub(super) async fn page(&mut self) -> Result<Vec<(EventId, Row)>> {
        let pass = match &self.pass {
            Some(pass) => pass.clone(),
            None => Pass {
                snapshot: snapshot(&self.pool).await?,
                after: EventId::start(self.from),
            },
        };

        let seen = self.seen.as_ref();
        if seen.is_some_and(|seen| seen.next > pass.snapshot.next) {
            let why = "the database went back to an earlier state";
            return Err(Error::internal(why));
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
        // Before the first pass all visible rows are new, and the snapshot contains all commits of that age.
        let settled = if self.seen.is_none() {
            snapshot.taken_at - WINDOW
        } else {
            self.from
        };

        // Planned for exactly these times, because no plan may read compressed chunks of TimescaleDB, which have no xmin.
        let keys = sqlx::query_as(*KEYS)
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
            .bind(after.passed(Kind::Order))
            .bind(after.passed(Kind::DeadLetter))
            .fetch_all(&self.pool)
            .await?;

        Ok(keys)
    }

    /// Returns the rows of the keys, except those that were deleted or changed since: a later pass reports them.
    async fn rows(&self, keys: &[EventId]) -> Result<Vec<(EventId, Row)>> {
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
            return Ok(Vec::new());
        };
        let mut found: HashMap<(Kind, Uuid), Row> = HashMap::with_capacity(keys.len());
        // Reads the rows of one kind that also fulfil a condition.
        macro_rules! read {
            ($entity:ident, $kind:ident, $condition:expr) => {{
                let ids = keys.iter().filter(|key| key.kind == Kind::$kind);
                let ids: Vec<Uuid> = ids.map(|key| key.row).collect();
                if !ids.is_empty() {
                    let rows = $entity::Entity::find()
                        .filter($entity::Column::Id.is_in(ids))
                        .filter($condition)
                        .all(&self.db)
                        .await?;
                    let rows = rows.into_iter();
                    found.extend(rows.map(|row| ((Kind::$kind, row.id), Row::$kind(row))));
                }
            }};
        }

        let in_time = transactions::Column::Timestamp.between(first.at, last.at);
        read!(transactions, Transaction, in_time);
        let in_time = trading_logs::Column::Timestamp.between(first.at, last.at);
        read!(trading_logs, TradingLog, in_time);
        read!(
            sub_accounts,
            SubAccount,
            sub_accounts::Column::DeletedAt.is_null()
        );
        let in_time = orders::Column::UpdatedAt.between(first.at, last.at);
        read!(orders, Order, in_time);

        let of_user = dead_letters::Column::UserId.eq(self.user.0);
        read!(dead_letters, DeadLetter, of_user);

        let row = |key: &EventId| {
            if let Row::DeadLetter(letter) = found.get(&(key.kind, key.row))? {
                // A dead letter that is closed right after it was opened is sent twice.
                return Some((*key, Row::DeadLetter(letter.clone())));
            }
            let row = found.remove(&(key.kind, key.row))?;
            let is_changed = match &row {
                Row::SubAccount(account) => account.updated_at != key.at,
                Row::Order(order) => order.updated_at != key.at,
                Row::Transaction(_) | Row::TradingLog(_) | Row::DeadLetter(_) => false,
            };
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

/// A select of the keys of new rows.
struct Source {
    kind: Kind,
    table: &'static str,
    /// The column with the time of the change.
    time: &'static str,
    /// The parameter with the row that was passed.
    passed: &'static str,
    /// The id of the transaction that made the change.
    writer: &'static str,
    condition: &'static str,
}

/// The transaction that wrote the row last. A row has the lower half of its id; $8 is an id near it.
const LAST_WRITER: &str =
    "($8 + ((xmin::text::bigint - $8 + 2147483648) & 4294967295) - 2147483648)";
/// The rows of a deleted trading disappear for its user at once, although they are removed later.
const OF_KEPT_TRADING: &str =
    "trading_id NOT IN (SELECT id FROM tradings WHERE user_id = $1 AND status = 'deleting')";

const SOURCES: [Source; 6] = [
    Source {
        kind: Kind::Transaction,
        table: "transactions",
        time: "timestamp",
        passed: "$9",
        writer: LAST_WRITER,
        condition: OF_KEPT_TRADING,
    },
    Source {
        kind: Kind::TradingLog,
        table: "trading_logs",
        time: "timestamp",
        passed: "$10",
        writer: LAST_WRITER,
        condition: OF_KEPT_TRADING,
    },
    Source {
        kind: Kind::SubAccount,
        table: "sub_accounts",
        time: "updated_at",
        passed: "$11",
        writer: LAST_WRITER,
        condition: "deleted_at IS NULL",
    },
    Source {
        kind: Kind::Order,
        table: "orders",
        time: "updated_at",
        passed: "$12",
        writer: LAST_WRITER,
        condition: OF_KEPT_TRADING,
    },
    Source {
        kind: Kind::DeadLetter,
        table: "dead_letters",
        time: "created_at",
        passed: "$13",
        writer: "opened_by",
        condition: "true",
    },
    Source {
        kind: Kind::DeadLetter,
        table: "dead_letters",
        time: "closed_at",
        passed: "$13",
        writer: "closed_by",
        condition: "closed_at IS NOT NULL",
    },
];

/// The keys of new rows: from $2 until $3, behind the row `passed` of the time $2, and either older than $5, or visible in
/// the snapshot $6 and not in $7.
static KEYS: LazyLock<&str> = LazyLock::new(|| {
    let selects = SOURCES.map(|source| {
        let Source {
            kind,
            table,
            time,
            passed,
            writer,
            condition,
        } = source;
        format!(
            "(SELECT {kind}::smallint AS kind, {time} AS at, id FROM {table}, \
             LATERAL (SELECT {writer}::text::xid8 AS writer) w \
             WHERE user_id = $1 AND {condition} AND {time} >= $2 AND {time} < $3 \
             AND ({time}, id) > ($2, {passed}) AND ({time} < $5 OR \
             (pg_visible_in_snapshot(writer, $6::text::pg_snapshot) \
             AND NOT pg_visible_in_snapshot(writer, $7::text::pg_snapshot))) ORDER BY at, id LIMIT $4)",
            kind = kind as i16
        )
    });
    let all = selects.join(" UNION ALL ");
    &*format!("{all} ORDER BY at, kind, id LIMIT $4").leak()
});
