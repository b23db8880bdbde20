//! Closes dead letters: replayed when their event is in the books, or discarded by an operator.

use super::filter::{self, Filter};
use super::read::check_open;
use crate::column::{self, values};
use crate::error::{Error, Result};
use crate::lanes::columns::{convert, sequences};
use crate::ledger::{Entry, EventKey};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::collections::HashSet;
use tiris_domain::ids::UserId;
use tiris_domain::lane::EventStream;
use uuid::Uuid;

/// The actor that closes a dead letter, recorded in its `info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An automatic retry.
    Lane,
    /// A replay of a time range, by its job.
    RangeReplay(Uuid),
    /// Its owner, over REST: only their own dead letters exist for them.
    Owner(UserId),
    /// An admin, over REST.
    Admin(UserId),
    /// An operator at the command line, by their name in the operating system.
    Operator(String),
}

impl Actor {
    /// The kind of [`Self::Owner`] in the record.
    const OWNER: &'static str = "owner";

    /// Returns whether a record of who closed a dead letter names its owner.
    #[must_use]
    pub fn is_owner(recorded: &Value) -> bool {
        recorded["kind"] == Self::OWNER
    }

    pub(super) fn as_json(&self) -> Value {
        match self {
            Self::Lane => json!({"kind": "lane"}),
            Self::RangeReplay(job) => json!({"kind": "range_replay", "id": job}),
            Self::Owner(user) => json!({"kind": Self::OWNER, "id": user.0}),
            Self::Admin(user) => json!({"kind": "admin", "id": user.0}),
            Self::Operator(name) => json!({"kind": "operator", "name": name}),
        }
    }

    /// Fails unless the actor may close a dead letter of `user`.
    pub(super) fn check_may_close(&self, user: Option<Uuid>) -> Result<()> {
        match self {
            Self::Owner(owner) if user != Some(owner.0) => Err(Error::NotFound("dead letter")),
            Self::Owner(_)
            | Self::Lane
            | Self::RangeReplay(_)
            | Self::Admin(_)
            | Self::Operator(_) => Ok(()),
        }
    }
}

/// Closes dead letters whose event is in the books now.
pub(super) async fn close_replayed(
    connection: &mut PgConnection,
    ids: &[Uuid],
    by: &Actor,
) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE dead_letters SET status = 'replayed', next_attempt_at = NULL, updated_at = clock_timestamp(), \
         info = info || jsonb_build_object('resolution', jsonb_build_object('by', $2::jsonb, 'at', clock_timestamp())) \
         WHERE id = ANY($1)",
    )
    .bind(ids)
    .bind(by.as_json())
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct OpenLetter {
    id: Uuid,
    user_id: Uuid,
    event_id: String,
}

/// Locks the open dead letters of `entries`, except for those about a reused event id. Returns the events that have one.
pub async fn lock_open_of<'a>(
    connection: &mut PgConnection,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<HashSet<EventKey>> {
    let letters = open_of(connection, entries).await?.into_iter();
    let events = letters.map(|letter| (letter.user_id, letter.event_id));
    Ok(events.collect())
}

/// Closes the open dead letters of events that were applied in another way.
pub async fn close_applied<'a>(
    connection: &mut PgConnection,
    applied: impl Iterator<Item = &'a Entry>,
    by: &Actor,
) -> Result<()> {
    let letters = open_of(connection, applied).await?;
    let ids = values(&letters, |letter| letter.id);
    close_replayed(connection, &ids, by).await
}

async fn open_of<'a>(
    connection: &mut PgConnection,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<Vec<OpenLetter>> {
    let keys = entries.filter_map(Entry::event_key);
    let (users, events): (Vec<Uuid>, Vec<String>) = keys.unzip();
    if users.is_empty() {
        return Ok(Vec::new());
    }

    // A malformed message may only look like the event, and one with a reused id is about another.
    Ok(sqlx::query_as(
        "SELECT d.id, d.user_id, d.event_id FROM dead_letters d \
         JOIN UNNEST($1::uuid[], $2::text[]) AS t (user_id, event_id) USING (user_id, event_id) \
         WHERE d.status = 'open' AND d.class <> 'malformed' AND d.code <> 'EVENT_ID_REUSED' \
         ORDER BY d.id FOR NO KEY UPDATE OF d",
    )
    .bind(users)
    .bind(events)
    .fetch_all(connection)
    .await?)
}

/// Discards an open dead letter; its event counts as done, and a duplicate of it stays one.
///
/// # Errors
/// [`Error::NotFound`], also for one of another user, and [`LetterNotOpen`](crate::error::Conflict::LetterNotOpen) when it was replayed or discarded before.
pub async fn discard(
    connection: &mut PgConnection,
    id: Uuid,
    reason: &str,
    by: &Actor,
) -> Result<()> {
    let found: Option<(String, Option<Uuid>)> =
        sqlx::query_as("SELECT status, user_id FROM dead_letters WHERE id = $1 FOR NO KEY UPDATE")
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
    let (status, user) = found.ok_or(Error::NotFound("dead letter"))?;
    by.check_may_close(user)?;
    check_open(Some(column::state(status)?))?;

    // The claim belongs to the message that made it, and not to one that reuses the id.
    sqlx::query(
        "UPDATE processed_events p SET outcome = 'discarded' FROM dead_letters d \
         WHERE d.id = $1 AND p.user_id = d.user_id AND p.event_id = d.event_id AND p.outcome = 'dead' \
           AND p.stream = d.stream AND p.stream_seq = d.stream_seq AND d.code <> 'EVENT_ID_REUSED'",
    )
    .bind(id)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE dead_letters SET status = 'discarded', next_attempt_at = NULL, updated_at = clock_timestamp(), \
         info = info || jsonb_build_object('resolution', \
             jsonb_build_object('by', $2::jsonb, 'at', clock_timestamp(), 'reason', $3::text)) WHERE id = $1",
    )
    .bind(id)
    .bind(by.as_json())
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(())
}

/// Discards up to `limit` of the open dead letters `filter` selects. Returns how many.
pub async fn discard_all(
    connection: &mut PgConnection,
    filter: &Filter,
    reason: &str,
    by: &Actor,
    limit: u32,
) -> Result<u64> {
    let mut discarded = 0;
    let page = filter::open_page(connection, filter, None, limit).await?;
    for id in page.ids {
        match discard(connection, id, reason, by).await {
            Ok(()) => discarded += 1,
            // It was closed meanwhile.
            Err(Error::Conflict(_) | Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(discarded)
}

/// Returns those of the messages `seqs` whose dead letters were discarded.
pub async fn discarded_of(
    connection: &mut PgConnection,
    stream: EventStream,
    stream_created_at: i64,
    seqs: impl IntoIterator<Item = u64>,
) -> Result<HashSet<u64>> {
    let discarded: Vec<i64> = sqlx::query_scalar(
        "SELECT stream_seq FROM dead_letters WHERE stream = $1 AND stream_created_at = $2 AND stream_seq = ANY($3) \
         AND status = 'discarded'",
    )
    .bind(stream.name())
    .bind(stream_created_at)
    .bind(sequences(seqs)?)
    .fetch_all(connection)
    .await?;
    discarded.into_iter().map(convert).collect()
}
