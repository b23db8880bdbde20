//! Deduplication: every event id is claimed once, in the same transaction as its effect.

use super::cause::Cause;
use super::disposition::Disposition;
use super::entry::{Claim, Entry, EventKey};
use crate::column::values;
use crate::error::Result;
use crate::lanes::columns::sequences;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// The event ids that a batch may claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// Free ids only: first attempts.
    New,
    /// Also the ids of equal events that were refused: retries and replays.
    Again,
}

/// The outcome of a claimed event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum ClaimState {
    /// The event is in the books.
    Applied,
    /// The event is a dead letter, and may be replayed.
    Dead,
    /// Its dead letter was discarded.
    Discarded,
}

impl Claims {
    /// Returns `None` for entries to apply, and a disposition for those whose id is claimed already, in the database or
    /// by an earlier entry.
    pub(super) async fn take(
        self,
        connection: &mut PgConnection,
        entries: &[&Entry],
    ) -> Result<Vec<Option<Disposition>>> {
        let first = first_of_each(entries);
        if first.is_empty() {
            return Ok(entries.iter().map(|_| None).collect());
        }

        let claims = claims_of(first.values().map(|at| &entries[*at]));
        let mut won = match self {
            Self::New => HashSet::new(),
            Self::Again => revive(connection, &claims).await?,
        };
        won.extend(insert(connection, &claims, "applied").await?);
        taken(connection, entries, &first, &won).await
    }
}

/// The first entry of each event. Sorted, so that batches with common ids wait for each other instead of deadlocking.
type First<'a> = BTreeMap<(Uuid, &'a str), usize>;

fn first_of_each<'a>(entries: &[&'a Entry]) -> First<'a> {
    let mut first = First::new();
    for (at, entry) in entries.iter().enumerate() {
        if let Some(event_id) = entry.event_id() {
            first.entry((entry.user.0, event_id)).or_insert(at);
        }
    }
    first
}

async fn taken(
    connection: &mut PgConnection,
    entries: &[&Entry],
    first: &First<'_>,
    won: &HashSet<EventKey>,
) -> Result<Vec<Option<Disposition>>> {
    let lost = first
        .iter()
        .filter(|((user, event_id), _)| !won.contains(&(*user, (*event_id).to_owned())));
    let stored = stored_hashes(connection, lost.map(|(_, at)| &entries[*at])).await?;

    // The holder of the claim decides what is a duplicate: the stored event, otherwise the first of the batch. So it makes no
    // difference where one batch ends and the next begins.
    let disposition = |(at, entry): (usize, &&Entry)| {
        let claim = entry.claim.as_ref()?;
        let earlier = *first.get(&(entry.user.0, claim.event_id.as_str()))?;
        let key = (entry.user.0, claim.event_id.clone());
        let holder = if !won.contains(&key) {
            stored.get(&key).map(Vec::as_slice)
        } else if earlier == at {
            return None;
        } else {
            let holder = entries[earlier].claim.as_ref();
            holder.map(|holder| holder.content_hash.as_slice())
        };

        Some(if holder == Some(claim.content_hash.as_slice()) {
            Disposition::Duplicate
        } else {
            Disposition::DeadLetter(Cause::EventIdReused)
        })
    };
    Ok(entries.iter().enumerate().map(disposition).collect())
}

/// Takes over the claims of equal events that were refused. Locks them first, in the order in which [`insert`] does.
async fn revive(
    connection: &mut PgConnection,
    claims: &[Claimed<'_>],
) -> Result<HashSet<EventKey>> {
    let rows: Vec<EventKey> = sqlx::query_as(
        "WITH dead AS (SELECT p.user_id, p.event_id FROM processed_events p \
                       JOIN UNNEST($1::uuid[], $2::text[], $3::bytea[]) AS t (user_id, event_id, content_hash) \
                       USING (user_id, event_id, content_hash) WHERE p.outcome = 'dead' \
                       ORDER BY p.user_id, p.event_id FOR NO KEY UPDATE OF p) \
         UPDATE processed_events p SET outcome = 'applied' FROM dead \
         WHERE p.user_id = dead.user_id AND p.event_id = dead.event_id RETURNING p.user_id, p.event_id",
    )
    .bind(values(claims, |claimed| claimed.user))
    .bind(values(claims, Claimed::event_id))
    .bind(values(claims, Claimed::hash))
    .fetch_all(connection)
    .await?;

    Ok(rows.into_iter().collect())
}

async fn insert(
    connection: &mut PgConnection,
    claims: &[Claimed<'_>],
    outcome: &str,
) -> Result<HashSet<EventKey>> {
    let rows: Vec<EventKey> = sqlx::query_as(
        "INSERT INTO processed_events (user_id, event_id, content_hash, stream, stream_seq, outcome) \
         SELECT t.*, $6 FROM UNNEST($1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::bigint[]) AS t \
         ON CONFLICT DO NOTHING RETURNING user_id, event_id",
    )
    .bind(values(claims, |claimed| claimed.user))
    .bind(values(claims, Claimed::event_id))
    .bind(values(claims, Claimed::hash))
    .bind(values(claims, |claimed| claimed.claim.stream.name()))
    .bind(sequences(claims.iter().map(|claimed| claimed.claim.stream_seq))?)
    .bind(outcome)
    .fetch_all(connection)
    .await?;

    Ok(rows.into_iter().collect())
}

async fn stored_hashes<'a>(
    connection: &mut PgConnection,
    entries: impl Iterator<Item = &'a &'a Entry>,
) -> Result<HashMap<EventKey, Vec<u8>>> {
    let claims = claims_of(entries);
    if claims.is_empty() {
        return Ok(HashMap::new());
    }

    let rows = sqlx::query_as(
        "SELECT p.user_id, p.event_id, p.content_hash FROM processed_events p \
         JOIN UNNEST($1::uuid[], $2::text[]) AS t (user_id, event_id) USING (user_id, event_id)",
    )
    .bind(values(&claims, |claimed| claimed.user))
    .bind(values(&claims, Claimed::event_id))
    .fetch_all(connection)
    .await?;
    Ok(by_event(rows))
}

/// Claims the ids of events that become dead letters without an attempt, as far as they are free: duplicates of them stay
/// duplicates, and a discarded one stays discarded.
pub async fn claim_dead(connection: &mut PgConnection, entries: &[&Entry]) -> Result<()> {
    let first = first_of_each(entries);
    let claims = claims_of(first.values().map(|at| &entries[*at]));
    insert(connection, &claims, "dead").await?;
    Ok(())
}

/// Returns the outcomes of earlier events with the ids and contents of `entries`.
pub async fn claim_states(
    connection: &mut PgConnection,
    entries: &[&Entry],
) -> Result<HashMap<EventKey, ClaimState>> {
    let claims = claims_of(entries);
    if claims.is_empty() {
        return Ok(HashMap::new());
    }

    let rows = sqlx::query_as(
        "SELECT p.user_id, p.event_id, p.outcome FROM processed_events p \
         JOIN UNNEST($1::uuid[], $2::text[], $3::bytea[]) AS t (user_id, event_id, content_hash) \
         USING (user_id, event_id, content_hash)",
    )
    .bind(values(&claims, |claimed| claimed.user))
    .bind(values(&claims, Claimed::event_id))
    .bind(values(&claims, Claimed::hash))
    .fetch_all(connection)
    .await?;
    Ok(by_event(rows))
}

fn by_event<T>(rows: Vec<(Uuid, String, T)>) -> HashMap<EventKey, T> {
    let rows = rows.into_iter();
    rows.map(|(user, event_id, value)| ((user, event_id), value))
        .collect()
}

/// Marks the claims of refused entries: they may be replayed, duplicates of them stay duplicates.
pub(super) async fn mark_dead(connection: &mut PgConnection, refused: &[&Entry]) -> Result<()> {
    let claims = claims_of(refused);
    if claims.is_empty() {
        return Ok(());
    }

    sqlx::query(
        "UPDATE processed_events p SET outcome = 'dead' \
         FROM UNNEST($1::uuid[], $2::text[]) AS t (user_id, event_id) \
         WHERE p.user_id = t.user_id AND p.event_id = t.event_id",
    )
    .bind(values(&claims, |claimed| claimed.user))
    .bind(values(&claims, Claimed::event_id))
    .execute(connection)
    .await?;
    Ok(())
}

/// The claim of an entry, with its user.
struct Claimed<'a> {
    user: Uuid,
    claim: &'a Claim,
}

impl Claimed<'_> {
    fn event_id(&self) -> &str {
        &self.claim.event_id
    }

    fn hash(&self) -> &[u8] {
        &self.claim.content_hash
    }
}

fn claims_of<'a: 'b, 'b>(entries: impl IntoIterator<Item = &'b &'a Entry>) -> Vec<Claimed<'a>> {
    let claims = entries.into_iter().filter_map(|entry| {
        let claim = entry.claim.as_ref()?;
        let user = entry.user.0;
        Some(Claimed { user, claim })
    });
    claims.collect()
}
