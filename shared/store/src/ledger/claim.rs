//! Deduplication: every event id is claimed once, in the same transaction as its effect.

use super::cause::Cause;
use super::disposition::Disposition;
use super::entry::{Entry, EventKey};
use crate::error::Result;
use crate::lanes::columns::convert;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// Which ids may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// Those not taken yet: the events come for the first time.
    New,
    /// Also those of an equal event that was refused: the events come again, by a retry or a replay.
    Again,
}

/// What became of a claimed event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum ClaimState {
    /// It is in the books.
    Applied,
    /// It is a dead letter, and may be replayed.
    Dead,
    /// Its dead letter was discarded.
    Discarded,
}

impl Claims {
    /// `None` for entries to apply, a disposition for those whose id is taken, in the database or by an earlier entry.
    pub(super) async fn take(
        self,
        connection: &mut PgConnection,
        entries: &[&Entry],
    ) -> Result<Vec<Option<Disposition>>> {
        let first = first_of_each(entries);
        if first.is_empty() {
            return Ok(entries.iter().map(|_| None).collect());
        }

        let mut won = match self {
            Self::New => HashSet::new(),
            Self::Again => revive(connection, entries, &first).await?,
        };
        won.extend(insert(connection, entries, &first).await?);
        taken(connection, entries, &first, &won).await
    }
}

/// Sorted, so that two batches with common ids wait for each other instead of deadlocking.
type First<'a> = BTreeMap<(Uuid, &'a str), usize>;

fn first_of_each<'a>(entries: &[&'a Entry]) -> First<'a> {
    let mut first = First::new();
    for (at, entry) in entries.iter().enumerate() {
        if let Some(claim) = &entry.claim {
            first.entry((entry.user.0, &claim.event_id)).or_insert(at);
        }
    }
    first
}

async fn taken(
    connection: &mut PgConnection,
    entries: &[&Entry],
    first: &First<'_>,
    new: &HashSet<EventKey>,
) -> Result<Vec<Option<Disposition>>> {
    let taken = first
        .iter()
        .filter(|(key, _)| !new.contains(&(key.0, key.1.to_owned())));
    let taken: Vec<usize> = taken.map(|(_, at)| *at).collect();
    let stored = if taken.is_empty() {
        HashMap::new()
    } else {
        stored_hashes(connection, entries, &taken).await?
    };

    // The holder of the claim decides what is a duplicate: the stored event, else the first of the batch. So it makes no
    // difference where one batch ends and the next begins.
    let disposition = |(at, entry): (usize, &&Entry)| {
        let claim = entry.claim.as_ref()?;
        let earlier = *first.get(&(entry.user.0, claim.event_id.as_str()))?;
        let key = (entry.user.0, claim.event_id.clone());
        let is_same = if new.contains(&key) {
            if earlier == at {
                return None;
            }
            let holder = entries[earlier].claim.as_ref();
            holder.is_some_and(|holder| holder.content_hash == claim.content_hash)
        } else {
            stored
                .get(&key)
                .is_some_and(|hash| hash == &claim.content_hash)
        };
        Some(if is_same {
            Disposition::Duplicate
        } else {
            Disposition::DeadLetter(Cause::EventIdReused)
        })
    };
    Ok(entries.iter().enumerate().map(disposition).collect())
}

/// Takes over the claims of equal events that were refused. Locked in order first, as [`insert`] takes them.
async fn revive(
    connection: &mut PgConnection,
    entries: &[&Entry],
    first: &First<'_>,
) -> Result<HashSet<EventKey>> {
    let columns = Columns::of(first.values().map(|at| &entries[*at]))?;
    let rows: Vec<EventKey> = sqlx::query_as(
        "WITH dead AS (SELECT p.user_id, p.event_id FROM processed_events p \
                       JOIN UNNEST($1::uuid[], $2::text[], $3::bytea[]) AS t (user_id, event_id, content_hash) \
                       USING (user_id, event_id, content_hash) WHERE p.outcome = 'dead' \
                       ORDER BY p.user_id, p.event_id FOR NO KEY UPDATE OF p) \
         UPDATE processed_events p SET outcome = 'applied' FROM dead \
         WHERE p.user_id = dead.user_id AND p.event_id = dead.event_id RETURNING p.user_id, p.event_id",
    )
    .bind(columns.users)
    .bind(columns.event_ids)
    .bind(columns.hashes)
    .fetch_all(connection)
    .await?;

    Ok(rows.into_iter().collect())
}

async fn insert(
    connection: &mut PgConnection,
    entries: &[&Entry],
    first: &First<'_>,
) -> Result<HashSet<EventKey>> {
    let columns = Columns::of(first.values().map(|at| &entries[*at]))?;
    let rows: Vec<EventKey> = sqlx::query_as(
        "INSERT INTO processed_events (user_id, event_id, content_hash, stream, stream_seq, outcome) \
         SELECT user_id, event_id, content_hash, stream, stream_seq, 'applied' \
         FROM UNNEST($1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::bigint[]) \
         AS t (user_id, event_id, content_hash, stream, stream_seq) \
         ON CONFLICT DO NOTHING RETURNING user_id, event_id",
    )
    .bind(columns.users)
    .bind(columns.event_ids)
    .bind(columns.hashes)
    .bind(columns.streams)
    .bind(columns.sequences)
    .fetch_all(connection)
    .await?;

    Ok(rows.into_iter().collect())
}

async fn stored_hashes(
    connection: &mut PgConnection,
    entries: &[&Entry],
    taken: &[usize],
) -> Result<HashMap<EventKey, Vec<u8>>> {
    let columns = Columns::of(taken.iter().map(|at| &entries[*at]))?;
    let rows: Vec<(Uuid, String, Vec<u8>)> = sqlx::query_as(
        "SELECT p.user_id, p.event_id, p.content_hash FROM processed_events p \
         JOIN UNNEST($1::uuid[], $2::text[]) AS t (user_id, event_id) USING (user_id, event_id)",
    )
    .bind(columns.users)
    .bind(columns.event_ids)
    .fetch_all(connection)
    .await?;

    Ok(rows
        .into_iter()
        .map(|(user, event_id, hash)| ((user, event_id), hash))
        .collect())
}

/// Claims the ids of events that are put aside without being tried, as far as they are not taken: duplicates of them stay
/// duplicates, and a discarded one stays discarded.
pub async fn claim_dead(connection: &mut PgConnection, entries: &[&Entry]) -> Result<()> {
    let first = first_of_each(entries);
    let won = insert(connection, entries, &first).await?;
    let is_new = |entry: &&&Entry| entry.event_key().is_some_and(|key| won.contains(&key));
    let refused: Vec<&Entry> = entries.iter().filter(is_new).copied().collect();

    mark_dead(connection, &refused).await
}

/// What became of the events of `entries` that came before with equal content.
pub async fn claim_states(
    connection: &mut PgConnection,
    entries: &[&Entry],
) -> Result<HashMap<EventKey, ClaimState>> {
    let columns = Columns::of(entries)?;
    if columns.users.is_empty() {
        return Ok(HashMap::new());
    }

    let rows: Vec<(Uuid, String, ClaimState)> = sqlx::query_as(
        "SELECT p.user_id, p.event_id, p.outcome FROM processed_events p \
         JOIN UNNEST($1::uuid[], $2::text[], $3::bytea[]) AS t (user_id, event_id, content_hash) \
         USING (user_id, event_id, content_hash)",
    )
    .bind(columns.users)
    .bind(columns.event_ids)
    .bind(columns.hashes)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(user, event_id, state)| ((user, event_id), state))
        .collect())
}

/// Marks the claims of refused entries: they may be replayed, duplicates of them stay duplicates.
pub(super) async fn mark_dead(connection: &mut PgConnection, refused: &[&Entry]) -> Result<()> {
    let columns = Columns::of(refused)?;
    if columns.users.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE processed_events p SET outcome = 'dead' \
         FROM UNNEST($1::uuid[], $2::text[]) AS t (user_id, event_id) \
         WHERE p.user_id = t.user_id AND p.event_id = t.event_id",
    )
    .bind(columns.users)
    .bind(columns.event_ids)
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(Default)]
struct Columns<'a> {
    users: Vec<Uuid>,
    event_ids: Vec<&'a str>,
    hashes: Vec<&'a [u8]>,
    streams: Vec<&'static str>,
    sequences: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of<'b>(entries: impl IntoIterator<Item = &'b &'a Entry>) -> Result<Self>
    where
        'a: 'b,
    {
        let mut columns = Self::default();
        for entry in entries {
            if let Some(claim) = &entry.claim {
                columns.users.push(entry.user.0);
                columns.event_ids.push(&claim.event_id);
                columns.hashes.push(&claim.content_hash);
                columns.streams.push(claim.stream.name());
                columns.sequences.push(convert(claim.stream_seq)?);
            }
        }
        Ok(columns)
    }
}
