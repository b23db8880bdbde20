//! The queue of dead letters that a lane retries. A key is a user and a trading; its first blocking dead letter is its
//! head, and the others wait behind it.

use crate::by_id;
use crate::error::Result;
use crate::lanes::columns::{convert, sequences};
use crate::ledger::Key;
use sqlx::{PgConnection, PgPool};
use std::collections::{BTreeMap, BTreeSet};
use tiris_domain::event::Subject;
use tiris_domain::ids::{TradingId, UserId};
use tiris_domain::lane::{EventStream, LaneKey, lane_of};
use uuid::Uuid;

/// Returns those of `keys` that have a blocking dead letter in the lane: their new events wait behind it.
pub async fn waiting_keys(
    connection: &mut PgConnection,
    key: LaneKey,
    keys: BTreeSet<Key>,
) -> Result<BTreeSet<Key>> {
    let (users, tradings) = columns(&keys);
    if users.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT k.user_id, k.trading_id FROM UNNEST($3::uuid[], $4::uuid[]) AS k (user_id, trading_id) \
         WHERE EXISTS (SELECT FROM dead_letters d WHERE d.stream = $1 AND d.lane = $2 AND d.blocks \
                       AND d.user_id = k.user_id AND d.trading_id = k.trading_id)",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(users)
    .bind(tradings)
    .fetch_all(connection)
    .await?;

    let rows = rows.into_iter();
    Ok(rows
        .map(|(user, trading)| (UserId(user), TradingId(trading)))
        .collect())
}

fn columns(keys: &BTreeSet<Key>) -> (Vec<Uuid>, Vec<Uuid>) {
    keys.iter()
        .map(|(user, trading)| (user.0, trading.0))
        .unzip()
}

/// Returns the stream sequence of the oldest blocking dead letter of each of `keys` that has one, for messages of the stream
/// created at `stream_created_at`: their events from there on wait. Zero for a dead letter of an earlier stream.
pub async fn oldest_blocking(
    connection: &mut PgConnection,
    key: LaneKey,
    stream_created_at: i64,
    keys: BTreeSet<Key>,
) -> Result<BTreeMap<Key, u64>> {
    let (users, tradings) = columns(&keys);
    if users.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<(Uuid, Uuid, i64)> = sqlx::query_as(
        "SELECT k.user_id, k.trading_id, min(CASE WHEN d.stream_created_at = $5 THEN d.stream_seq ELSE 0 END) \
         FROM UNNEST($3::uuid[], $4::uuid[]) AS k (user_id, trading_id) \
         JOIN dead_letters d ON d.stream = $1 AND d.lane = $2 AND d.blocks AND d.user_id = k.user_id \
             AND d.trading_id = k.trading_id AND d.stream_created_at <= $5 GROUP BY k.user_id, k.trading_id",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(users)
    .bind(tradings)
    .bind(stream_created_at)
    .fetch_all(connection)
    .await?;

    rows.into_iter()
        .map(|(user, trading, seq)| Ok(((UserId(user), TradingId(trading)), convert(seq)?)))
        .collect()
}

/// A dead letter and the sequence of its message.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct QueuedLetter {
    /// Id of the dead letter.
    pub id: Uuid,
    /// Sequence of its message in the stream.
    #[sqlx(try_from = "i64")]
    pub stream_seq: u64,
}

/// Returns the blocking dead letters of the messages `seqs` before which no other one of their key blocks, in stream order.
pub async fn first_of(
    connection: &mut PgConnection,
    key: LaneKey,
    stream_created_at: i64,
    seqs: impl IntoIterator<Item = u64>,
) -> Result<Vec<QueuedLetter>> {
    Ok(sqlx::query_as(
        "SELECT d.id, d.stream_seq FROM dead_letters d WHERE d.stream = $1 AND d.lane = $2 AND d.blocks \
         AND d.stream_created_at = $3 AND d.stream_seq = ANY($4) \
         AND NOT EXISTS (SELECT FROM dead_letters e WHERE e.stream = d.stream AND e.lane = d.lane AND e.blocks \
             AND e.user_id = d.user_id AND e.trading_id = d.trading_id \
             AND (e.stream_created_at, e.stream_seq) < (d.stream_created_at, d.stream_seq) \
             AND NOT (e.stream_created_at = $3 AND e.stream_seq = ANY($4))) \
         ORDER BY d.stream_seq, d.id",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(stream_created_at)
    .bind(sequences(seqs)?)
    .fetch_all(connection)
    .await?)
}

/// Returns the due dead letters, at most `limit`, in stream order. All dead letters of a key are due when the retry time of
/// its head has passed, its head waits for a user who is no longer disabled, or its head waited behind a dead letter that no
/// longer blocks.
pub async fn due(connection: &mut PgConnection, key: LaneKey, limit: i64) -> Result<Vec<Uuid>> {
    // `behind` jumps from key to key by index, so that a key with many dead letters costs no more than one with few.
    Ok(sqlx::query_scalar(
        "WITH RECURSIVE behind AS ( \
             (SELECT user_id, trading_id FROM dead_letters \
              WHERE stream = $1 AND lane = $2 AND blocks AND code = 'BEHIND_UNRESOLVED' \
              ORDER BY user_id, trading_id LIMIT 1) \
             UNION ALL \
             SELECT n.user_id, n.trading_id FROM behind b CROSS JOIN LATERAL ( \
                 SELECT d.user_id, d.trading_id FROM dead_letters d \
                 WHERE d.stream = $1 AND d.lane = $2 AND d.blocks AND d.code = 'BEHIND_UNRESOLVED' \
                   AND (d.user_id, d.trading_id) > (b.user_id, b.trading_id) \
                 ORDER BY d.user_id, d.trading_id LIMIT 1) n), \
         keys AS ( \
             (SELECT user_id, trading_id FROM dead_letters \
              WHERE stream = $1 AND lane = $2 AND status = 'open' AND blocks \
                AND next_attempt_at <= statement_timestamp() ORDER BY next_attempt_at LIMIT $3) \
             UNION \
             SELECT d.user_id, d.trading_id FROM dead_letters d JOIN users u ON u.id = d.user_id \
             WHERE d.stream = $1 AND d.lane = $2 AND d.blocks AND d.code = 'USER_DISABLED' AND u.status <> 'disabled' \
             UNION \
             SELECT b.user_id, b.trading_id FROM behind b CROSS JOIN LATERAL ( \
                 SELECT h.code FROM dead_letters h WHERE h.stream = $1 AND h.lane = $2 AND h.blocks \
                   AND h.user_id = b.user_id AND h.trading_id = b.trading_id \
                 ORDER BY h.stream_created_at, h.stream_seq LIMIT 1) head \
             WHERE head.code = 'BEHIND_UNRESOLVED') \
         SELECT l.id FROM keys k CROSS JOIN LATERAL ( \
             SELECT d.id, d.stream_created_at, d.stream_seq FROM dead_letters d \
             WHERE d.stream = $1 AND d.lane = $2 AND d.blocks \
               AND d.user_id = k.user_id AND d.trading_id = k.trading_id \
             ORDER BY d.stream_created_at, d.stream_seq LIMIT $3) l \
         ORDER BY l.stream_created_at, l.stream_seq, l.id LIMIT $3",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(limit)
    .fetch_all(connection)
    .await?)
}

/// Returns whether an earlier dead letter of the same key blocks the dead letter `id`.
pub(super) async fn is_behind(connection: &mut PgConnection, id: Uuid) -> Result<bool> {
    const SQL: &str = "SELECT EXISTS (SELECT FROM dead_letters d JOIN dead_letters e ON e.stream = d.stream AND e.lane = d.lane \
                        AND e.user_id = d.user_id AND e.trading_id = d.trading_id AND e.blocks \
                        AND (e.stream_created_at, e.stream_seq) < (d.stream_created_at, d.stream_seq) \
                        WHERE d.id = $1)";
    by_id::scalar(connection, id, SQL).await
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
