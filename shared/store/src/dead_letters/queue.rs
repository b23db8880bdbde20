//! The queue of dead letters that a lane retries. A dead letter that blocks holds up the later ones of its user that name one
//! of its accounts; the first of them is retried, and the others wait behind it.
//!
//! A dead letter of an earlier version stores no accounts: it holds up, and waits behind, all of its user and trading.

use super::order::{Candidate, in_turns, retriable};
use crate::column::values;
use crate::error::Result;
use crate::lanes::columns::{convert, sequences};
use crate::ledger::Key;
use sqlx::{PgConnection, PgPool};
use std::collections::{BTreeMap, BTreeSet};
use tiris_domain::event::Subject;
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::lane::{EventStream, LaneKey, lane_of};
use uuid::Uuid;

/// Blocking dead letters of one user that are looked at for those that are due. More may wait: the first of them are applied
/// or out of attempts within a minute.
const INSPECTED_PER_USER: i64 = 500;
/// Users with blocking dead letters that are looked at together; the next look continues with the others.
const USERS_MAX: i64 = 100;

/// Keys as columns of SQL: a user, and an account or a trading.
struct KeyColumns {
    users: Vec<Uuid>,
    accounts: Vec<Option<Uuid>>,
    tradings: Vec<Option<Uuid>>,
}

impl KeyColumns {
    fn of(keys: &BTreeSet<Key>) -> Self {
        let keys = Vec::from_iter(keys);
        Self {
            users: values(&keys, |key| match key {
                Key::Account(user, _) | Key::Trading(user, _) => user.0,
            }),
            accounts: values(&keys, |key| match key {
                Key::Account(_, account) => Some(account.0),
                Key::Trading(..) => None,
            }),
            tradings: values(&keys, |key| match key {
                Key::Account(..) => None,
                Key::Trading(_, trading) => Some(trading.0),
            }),
        }
    }
}

/// A key in a result.
#[derive(sqlx::FromRow)]
struct KeyRow {
    user_id: Uuid,
    account: Option<Uuid>,
    trading_id: Option<Uuid>,
}

impl KeyRow {
    fn key(&self) -> Option<Key> {
        let user = UserId(self.user_id);
        match (self.account, self.trading_id) {
            (Some(account), _) => Some(Key::Account(user, AccountId(account))),
            (None, Some(trading)) => Some(Key::Trading(user, TradingId(trading))),
            (None, None) => None,
        }
    }
}

/// Returns those of `keys` that have a blocking dead letter in the lane: their new events wait behind it.
pub async fn waiting_keys(
    connection: &mut PgConnection,
    key: LaneKey,
    keys: BTreeSet<Key>,
) -> Result<BTreeSet<Key>> {
    if keys.is_empty() {
        return Ok(keys);
    }
    let columns = KeyColumns::of(&keys);
    // Two selects, and no `=` for the user of an account: otherwise the plan may read all dead letters of the user.
    let rows: Vec<KeyRow> = sqlx::query_as(
        "SELECT k.user_id, k.account, k.trading_id \
         FROM UNNEST($3::uuid[], $4::uuid[], $5::uuid[]) AS k (user_id, account, trading_id) \
         WHERE EXISTS (SELECT FROM dead_letters d WHERE d.stream = $1 AND d.lane = $2 AND d.blocks \
                       AND d.user_id IS NOT DISTINCT FROM k.user_id AND d.accounts @> ARRAY[k.account]) \
         UNION ALL \
         SELECT k.user_id, k.account, k.trading_id \
         FROM UNNEST($3::uuid[], $4::uuid[], $5::uuid[]) AS k (user_id, account, trading_id) \
         WHERE EXISTS (SELECT FROM dead_letters d WHERE d.stream = $1 AND d.lane = $2 AND d.blocks \
                       AND d.user_id = k.user_id AND d.trading_id = k.trading_id AND d.accounts IS NULL)",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(columns.users)
    .bind(columns.accounts)
    .bind(columns.tradings)
    .fetch_all(connection)
    .await?;

    Ok(rows.iter().filter_map(KeyRow::key).collect())
}

/// Returns the stream sequence of the oldest blocking dead letter of each of `keys` that has one, for messages of the stream
/// created at `stream_created_at`: their events from there on wait. Zero for a dead letter of an earlier stream.
pub async fn oldest_blocking(
    connection: &mut PgConnection,
    key: LaneKey,
    stream_created_at: i64,
    keys: BTreeSet<Key>,
) -> Result<BTreeMap<Key, u64>> {
    #[derive(sqlx::FromRow)]
    struct Oldest {
        #[sqlx(flatten)]
        key: KeyRow,
        seq: i64,
    }

    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let columns = KeyColumns::of(&keys);
    let rows: Vec<Oldest> = sqlx::query_as(
        "SELECT k.user_id, k.account, k.trading_id, \
             min(CASE WHEN d.stream_created_at = $6 THEN d.stream_seq ELSE 0 END) AS seq \
         FROM UNNEST($3::uuid[], $4::uuid[], $5::uuid[]) AS k (user_id, account, trading_id) \
         JOIN dead_letters d ON d.stream = $1 AND d.lane = $2 AND d.blocks AND d.user_id = k.user_id \
             AND d.stream_created_at <= $6 AND (d.accounts @> ARRAY[k.account] \
                 OR (d.accounts IS NULL AND d.trading_id = k.trading_id)) \
         GROUP BY k.user_id, k.account, k.trading_id",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(columns.users)
    .bind(columns.accounts)
    .bind(columns.tradings)
    .bind(stream_created_at)
    .fetch_all(connection)
    .await?;

    let oldest = rows
        .iter()
        .filter_map(|row| Some((row.key.key()?, row.seq)));
    oldest.map(|(key, seq)| Ok((key, convert(seq)?))).collect()
}

/// A dead letter and the sequence of its message.
#[derive(Clone, Copy, Debug)]
pub struct QueuedLetter {
    /// Id of the dead letter.
    pub id: Uuid,
    /// Sequence of its message in the stream.
    pub stream_seq: u64,
}

/// Returns the blocking dead letters of the messages `seqs` before which no other one blocks, in stream order.
pub async fn first_of(
    connection: &mut PgConnection,
    key: LaneKey,
    stream_created_at: i64,
    seqs: impl IntoIterator<Item = u64>,
) -> Result<Vec<QueuedLetter>> {
    let letters: Vec<Candidate> = sqlx::query_as(
        "SELECT d.id, d.stream_seq, d.user_id, d.trading_id, d.accounts, NOT EXISTS (SELECT FROM dead_letters e \
             WHERE e.stream = d.stream AND e.lane = d.lane AND e.blocks AND e.user_id = d.user_id \
             AND (e.stream_created_at, e.stream_seq) < (d.stream_created_at, d.stream_seq) \
             AND (e.accounts && d.accounts \
                 OR (e.trading_id = d.trading_id AND (e.accounts IS NULL OR d.accounts IS NULL))) \
             AND NOT (e.stream_created_at = $3 AND e.stream_seq = ANY($4))) AS is_ready \
         FROM dead_letters d WHERE d.stream = $1 AND d.lane = $2 AND d.blocks \
         AND d.stream_created_at = $3 AND d.stream_seq = ANY($4) AND d.user_id IS NOT NULL AND d.trading_id IS NOT NULL \
         ORDER BY d.stream_seq, d.id",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(stream_created_at)
    .bind(sequences(seqs)?)
    .fetch_all(connection)
    .await?;

    let first = retriable(letters).into_iter().map(|letter| {
        Ok(QueuedLetter {
            id: letter.id,
            stream_seq: convert(letter.stream_seq)?,
        })
    });
    first.collect()
}

/// The due dead letters of some users of a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Ids of the dead letters, in stream order.
    pub letters: Vec<Uuid>,
    /// The user after whom the next look continues; `None` when it begins with the first one again.
    pub next: Option<Uuid>,
}

/// Returns due dead letters of the users after `after`, at most `limit`: those whose retry time has passed, whose user is no
/// longer disabled, or which waited behind one that no longer blocks, and those that wait behind these. Nothing of a disabled
/// user is due. No user delays those of another: each look continues with the users that the one before left out, and the
/// users of one look take turns.
pub async fn due(
    connection: &mut PgConnection,
    key: LaneKey,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Due> {
    let waiting = waiting_users(connection, key, after).await?;
    let is_full = i64::try_from(waiting.len()) == Ok(USERS_MAX);
    let next = waiting.last().map(|user| user.user_id);
    let enabled = waiting.iter().filter(|user| !user.is_disabled);
    let enabled: Vec<Uuid> = enabled.map(|user| user.user_id).collect();

    let letters = retriable(first_letters(connection, key, &enabled).await?);
    let served: BTreeSet<Uuid> = letters.iter().map(|letter| letter.user_id).collect();
    let next = match served.len() > limit {
        true => served.into_iter().take(limit).next_back(),
        false => next.filter(|_| is_full),
    };
    let due = in_turns(letters, limit);
    Ok(Due {
        letters: values(&due, |letter| letter.id),
        next,
    })
}

/// A user with blocking dead letters.
#[derive(sqlx::FromRow)]
struct WaitingUser {
    user_id: Uuid,
    is_disabled: bool,
}

/// Returns the first users after `after` who have blocking dead letters in the lane, at most [`USERS_MAX`], by id.
async fn waiting_users(
    connection: &mut PgConnection,
    key: LaneKey,
    after: Option<Uuid>,
) -> Result<Vec<WaitingUser>> {
    // Jumps from user to user by index, so that a user with many dead letters costs no more than one with few.
    Ok(sqlx::query_as(
        "WITH RECURSIVE waiting AS ( \
             (SELECT user_id FROM dead_letters WHERE stream = $1 AND lane = $2 AND blocks AND user_id > $3 \
              ORDER BY user_id LIMIT 1) \
             UNION ALL \
             SELECT n.user_id FROM waiting w CROSS JOIN LATERAL ( \
                 SELECT d.user_id FROM dead_letters d \
                 WHERE d.stream = $1 AND d.lane = $2 AND d.blocks AND d.user_id > w.user_id \
                 ORDER BY d.user_id LIMIT 1) n), \
         page AS (SELECT user_id FROM waiting LIMIT $4) \
         SELECT p.user_id, EXISTS (SELECT FROM users u WHERE u.id = p.user_id AND u.status = 'disabled') AS is_disabled \
         FROM page p ORDER BY p.user_id",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(after.unwrap_or_default())
    .bind(USERS_MAX)
    .fetch_all(connection)
    .await?)
}

/// Returns the first blocking dead letters of each user, at most [`INSPECTED_PER_USER`], in stream order.
async fn first_letters(
    connection: &mut PgConnection,
    key: LaneKey,
    users: &[Uuid],
) -> Result<Vec<Candidate>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }

    Ok(sqlx::query_as(
        "SELECT l.id, l.stream_created_at, l.stream_seq, l.user_id, l.trading_id, l.accounts, l.is_ready \
         FROM UNNEST($3::uuid[]) AS w (user_id) CROSS JOIN LATERAL ( \
             SELECT d.id, d.stream_created_at, d.stream_seq, d.user_id, d.trading_id, d.accounts, \
                 coalesce(d.next_attempt_at <= statement_timestamp(), true) AS is_ready FROM dead_letters d \
             WHERE d.stream = $1 AND d.lane = $2 AND d.blocks AND d.user_id = w.user_id AND d.trading_id IS NOT NULL \
             ORDER BY d.stream_created_at, d.stream_seq, d.id LIMIT $4) l \
         ORDER BY l.stream_created_at, l.stream_seq, l.id",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(users)
    .bind(INSPECTED_PER_USER)
    .fetch_all(connection)
    .await?)
}

/// Returns whether an earlier dead letter blocks the dead letter `id`; those in `closed` block nothing.
pub(super) async fn is_behind(
    connection: &mut PgConnection,
    id: Uuid,
    closed: &[Uuid],
) -> Result<bool> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM dead_letters d JOIN dead_letters e ON e.stream = d.stream AND e.lane = d.lane \
         AND e.user_id = d.user_id AND e.blocks AND (e.accounts && d.accounts \
             OR (e.trading_id = d.trading_id AND (e.accounts IS NULL OR d.accounts IS NULL))) \
         AND (e.stream_created_at, e.stream_seq) < (d.stream_created_at, d.stream_seq) AND e.id <> ALL($2) \
         WHERE d.id = $1)",
    )
    .bind(id)
    .bind(closed)
    .fetch_one(connection)
    .await?)
}

/// Moves the blocking dead letters of `stream` into the lanes of their users after a change of the number of lanes to `lanes`,
/// so that lanes retry them and new events wait behind them. Returns how many moved.
pub async fn rehome(pool: &PgPool, stream: EventStream, lanes: u16) -> Result<u64> {
    let waiting: Vec<(Uuid, i32, String)> =
        sqlx::query_as("SELECT id, lane, subject FROM dead_letters WHERE stream = $1 AND blocks")
            .bind(stream.name())
            .fetch_all(pool)
            .await?;
    let moves = waiting.into_iter().filter_map(|(id, lane, subject)| {
        let home = i32::from(home(&subject, lanes)?);
        (home != lane).then_some((id, home))
    });
    let (ids, homes): (Vec<Uuid>, Vec<i32>) = moves.unzip();
    if ids.is_empty() {
        return Ok(0);
    }

    let moved = sqlx::query(
        "UPDATE dead_letters d SET lane = n.lane FROM UNNEST($1::uuid[], $2::int[]) AS n (id, lane) WHERE d.id = n.id",
    )
    .bind(ids)
    .bind(homes)
    .execute(pool)
    .await?;
    Ok(moved.rows_affected())
}

/// Subjects without a user belong to the last lane.
fn home(subject: &str, lanes: u16) -> Option<u16> {
    match Subject::parse(subject)?.user {
        Some(user) => lane_of(Uuid::try_parse(&user).ok()?, lanes),
        None => Some(lanes),
    }
}
