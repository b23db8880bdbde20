//! Tries to replay dead letters and rolls everything back, to show the effects of a replay.

use super::filter::{self, Filter};
use super::read::{self, Letter};
use super::replay::{Replay, ReplayOptions, Replayable};
use super::replay_many::{Attempt, Summary};
use crate::column::values;
use crate::error::{Error, Result};
use crate::ledger::{self, Entry};
use crate::race::retried;
use sqlx::{Connection as _, PgConnection, PgPool};
use std::collections::HashMap;
use uuid::Uuid;

/// Returns the effect that [`replay`](super::replay()) would have, without changing anything.
///
/// # Errors
/// Those of [`replay`](super::replay()).
pub async fn rehearse_one(pool: &PgPool, id: Uuid, options: &ReplayOptions) -> Result<Replay> {
    let mut rehearsed = rehearse(pool, &[id], options).await?;
    rehearsed.pop().unwrap_or(Err(NOT_FOUND))
}

/// Returns the effects that [`replay_some`](super::replay_some) would have, without changing anything. Also returns the dead
/// letter to continue after, `None` at the end.
///
/// # Errors
/// Failures of the database. [`Error::InvalidValue`] when there is no dead letter `after`.
pub async fn rehearse_all(
    pool: &PgPool,
    filter: &Filter,
    options: &ReplayOptions,
    after: Option<Uuid>,
    limit: u32,
) -> Result<(Summary, Option<Uuid>)> {
    let mut connection = pool.acquire().await?;
    let after = filter::place_of(&mut connection, filter, after).await?;
    let page = filter::open_page(&mut connection, filter, after.as_ref(), limit).await?;
    let mut summary = Summary {
        left: filter::count_open(&mut connection, filter).await?,
        ..Summary::default()
    };
    drop(connection);

    for effect in rehearse(pool, &page.ids, options).await? {
        match Attempt::of(effect)? {
            Attempt::Tried(effect) => {
                summary.count(&effect);
                summary.effects.push(effect);
            }
            Attempt::Skipped => summary.skipped += 1,
            Attempt::Closed => {}
        }
    }
    Ok((summary, page.last.map(|place| place.id)))
}

/// Returns the effects that replays of the dead letters `ids`, one after the other, would have, without changing anything;
/// for one that cannot be replayed, the error of [`replay`](super::replay()). Locks no dead letter. What they change stays
/// locked until the end, because each of them sees the effects of those before it.
///
/// # Errors
/// Failures of the database.
pub async fn rehearse(
    pool: &PgPool,
    ids: &[Uuid],
    options: &ReplayOptions,
) -> Result<Vec<Result<Replay>>> {
    retried(async || {
        let mut transaction = pool.begin().await?;
        let letters = replayable(&mut transaction, ids, options).await?;
        let mut effects = attempt(&mut transaction, letters.iter().flatten()).await?;
        transaction.rollback().await?;

        let results = letters.into_iter().map(|letter| {
            let effect = effects.remove(&letter?.id());
            effect.ok_or(NOT_FOUND)
        });
        Ok(results.collect())
    })
    .await
}

const NOT_FOUND: Error = Error::NotFound("dead letter");

async fn replayable(
    connection: &mut PgConnection,
    ids: &[Uuid],
    options: &ReplayOptions,
) -> Result<Vec<Result<Replayable>>> {
    let letters = read::get_all(connection, ids).await?.into_iter();
    let mut letters: HashMap<Uuid, Letter> = letters.map(|letter| (letter.id, letter)).collect();

    let found = ids.iter().map(|id| {
        let letter = letters.remove(id).ok_or(NOT_FOUND)?;
        Replayable::new(letter, options)
    });
    Ok(found.collect())
}

/// Tries the dead letters in order. First it locks what they change in the order of a batch: one after the other, they could
/// deadlock with it. Those that change no books of their user are tried before, and keep no locks.
async fn attempt(
    connection: &mut PgConnection,
    letters: impl Iterator<Item = &Replayable>,
) -> Result<HashMap<Uuid, Replay>> {
    let letters: Vec<&Replayable> = letters.collect();
    let entries: Vec<&Entry> = letters.iter().filter_map(|letter| letter.entry()).collect();
    let owners = owners(connection, &entries).await?;
    let is_bookable = |letter: &&Replayable| {
        let entry = letter.entry();
        entry.is_some_and(|entry| names_only_own(entry, &owners))
    };
    let (bookable, others): (Vec<&Replayable>, Vec<&Replayable>) =
        letters.into_iter().partition(is_bookable);

    let mut effects = HashMap::new();
    for letter in others {
        let mut alone = connection.begin().await?;
        let effect = letter.attempt(&mut alone, &[], rand::random()).await?;
        alone.rollback().await?;
        effects.insert(letter.id(), effect);
    }

    let entries: Vec<&Entry> = bookable
        .iter()
        .filter_map(|letter| letter.entry())
        .collect();
    ledger::lock_all(connection, &entries).await?;
    let mut closed = Vec::new();
    for letter in bookable {
        let effect = letter.attempt(connection, &closed, rand::random()).await?;
        if effect.refused.is_none() {
            closed.push(letter.id());
        }
        effects.insert(letter.id(), effect);
    }
    Ok(effects)
}

/// Returns the owners of the accounts and tradings that `entries` name, by their ids.
async fn owners(connection: &mut PgConnection, entries: &[&Entry]) -> Result<HashMap<Uuid, Uuid>> {
    let accounts = entries.iter().flat_map(|entry| entry.accounts());
    let accounts: Vec<Uuid> = accounts.map(|account| account.0).collect();

    let owners: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT id, user_id FROM sub_accounts WHERE id = ANY($1) \
         UNION ALL SELECT id, user_id FROM tradings WHERE id = ANY($2)",
    )
    .bind(accounts)
    .bind(values(entries, |entry| entry.trading.0))
    .fetch_all(connection)
    .await?;
    Ok(owners.into_iter().collect())
}

/// Returns whether no account and trading that `entry` names belongs to another user.
fn names_only_own(entry: &Entry, owners: &HashMap<Uuid, Uuid>) -> bool {
    let accounts = entry.accounts().into_iter().map(|account| account.0);
    let mut named = accounts.chain([entry.trading.0]);
    named.all(|id| owners.get(&id).is_none_or(|owner| *owner == entry.user.0))
}
