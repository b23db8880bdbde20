//! Deduplication: every event id is claimed once, in the same transaction as its effect.

use super::{Entry, Outcome};
use crate::error::Result;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// Which ids may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// Those nobody took: the events come for the first time.
    New,
    /// Also those of an equal event that was refused: the events come again, by a retry or a replay.
    Again,
}

impl Claims {
    /// `None` for entries to apply, an outcome for those whose id is taken, in the database or by an earlier entry.
    pub(super) async fn take(
        self,
        connection: &mut PgConnection,
        entries: &[Entry],
    ) -> Result<Vec<Option<Outcome>>> {
        let first = first_of_each(entries);
        if first.is_empty() {
            return Ok(entries.iter().map(|_| None).collect());
        }
        let mut won = match self {
            Self::New => HashSet::new(),
            Self::Again => revive(connection, entries, &first).await?,
        };
        won.extend(insert(connection, entries, &first).await?);
        outcomes(connection, entries, &first, &won).await
    }
}

/// Sorted, so that two batches with common ids wait for each other instead of deadlocking.
type First<'a> = BTreeMap<(Uuid, &'a str), usize>;

fn first_of_each(entries: &[Entry]) -> First<'_> {
    let mut first = First::new();
    for (at, entry) in entries.iter().enumerate() {
        if let Some(claim) = &entry.claim {
            first.entry((entry.user.0, &claim.event_id)).or_insert(at);
        }
    }
    first
}

async fn outcomes(
    connection: &mut PgConnection,
    entries: &[Entry],
    first: &First<'_>,
    new: &HashSet<(Uuid, String)>,
) -> Result<Vec<Option<Outcome>>> {
    let taken: Vec<usize> = first
        .iter()
        .filter(|(key, _)| !new.contains(&(key.0, key.1.to_owned())))
        .map(|(_, at)| *at)
        .collect();
    let stored = if taken.is_empty() {
        HashMap::new()
    } else {
        stored_hashes(connection, entries, &taken).await?
    };
    let outcome = |(at, entry): (usize, &Entry)| {
        let claim = entry.claim.as_ref()?;
        let earlier = *first.get(&(entry.user.0, claim.event_id.as_str()))?;
        let key = (entry.user.0, claim.event_id.clone());
        // Whoever holds the claim decides what is a duplicate: the stored event, else the first of the batch. So it
        // makes no difference where one batch ends and the next begins.
        let same = if new.contains(&key) {
            if earlier == at {
                return None;
            }
            entries[earlier]
                .claim
                .as_ref()
                .is_some_and(|first| first.content_hash == claim.content_hash)
        } else {
            stored
                .get(&key)
                .is_some_and(|hash| hash == &claim.content_hash)
        };
        Some(if same {
            Outcome::Duplicate
        } else {
            Outcome::Reused
        })
    };
    Ok(entries.iter().enumerate().map(outcome).collect())
}

/// Takes over the claims of equal events that were refused. Locked in order first, as [`insert`] takes them.
async fn revive(
    connection: &mut PgConnection,
    entries: &[Entry],
    first: &First<'_>,
) -> Result<HashSet<(Uuid, String)>> {
    let mut columns = Columns::default();
    for at in first.values() {
        columns.push(&entries[*at]);
    }
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
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
    entries: &[Entry],
    first: &First<'_>,
) -> Result<HashSet<(Uuid, String)>> {
    let mut columns = Columns::default();
    for at in first.values() {
        columns.push(&entries[*at]);
    }
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "INSERT INTO processed_events (user_id, event_id, content_hash, stream, stream_seq, outcome) \
         SELECT *, 'applied' FROM UNNEST($1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::bigint[]) \
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
    entries: &[Entry],
    taken: &[usize],
) -> Result<HashMap<(Uuid, String), Vec<u8>>> {
    let mut columns = Columns::default();
    for at in taken {
        columns.push(&entries[*at]);
    }
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

/// Claims the ids of events that are put aside without being tried, as far as nobody took them: duplicates of them stay
/// duplicates, and whoever gives one up has given it up for good.
pub async fn claim_dead(connection: &mut PgConnection, entries: &[Entry]) -> Result<()> {
    let first = first_of_each(entries);
    let won = insert(connection, entries, &first).await?;
    let new = |entry: &&Entry| {
        entry
            .claim
            .as_ref()
            .is_some_and(|claim| won.contains(&(entry.user.0, claim.event_id.clone())))
    };
    let refused: Vec<&Entry> = entries.iter().filter(new).collect();
    mark_dead(connection, &refused).await
}

/// What became of the events of `entries` that came before with equal content, by user and event id: `applied`, `dead` or
/// `discarded`.
pub async fn outcomes_of(
    connection: &mut PgConnection,
    entries: &[Entry],
) -> Result<HashMap<(Uuid, String), String>> {
    let mut columns = Columns::default();
    for entry in entries {
        columns.push(entry);
    }
    if columns.users.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Uuid, String, String)> = sqlx::query_as(
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
        .map(|(user, event_id, outcome)| ((user, event_id), outcome))
        .collect())
}

/// Marks the claims of refused entries: they may be replayed, duplicates of them stay duplicates.
pub(super) async fn mark_dead(connection: &mut PgConnection, refused: &[&Entry]) -> Result<()> {
    let mut columns = Columns::default();
    for entry in refused.iter().filter(|entry| entry.claim.is_some()) {
        columns.push(entry);
    }
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
    streams: Vec<&'a str>,
    sequences: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, entry: &'a Entry) {
        if let Some(claim) = &entry.claim {
            self.users.push(entry.user.0);
            self.event_ids.push(&claim.event_id);
            self.hashes.push(&claim.content_hash);
            self.streams.push(&claim.stream);
            self.sequences.push(claim.stream_seq);
        }
    }
}
