//! Replays many dead letters in stream order.

use super::filter::{self, Filter};
use super::read;
use super::replay::{Replay, ReplayOptions, replay};
use crate::column::values;
use crate::error::{Conflict, Error, Result};
use crate::ledger::{self, Entry, Work};
use sqlx::{Connection as _, PgConnection, PgPool};
use uuid::Uuid;

/// Dead letters read at once for a bulk replay.
const PAGE: u32 = 500;

/// The result of a bulk replay, in dead letters.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Attempts; a dead letter may have several.
    pub tried: u64,
    /// Closed, because their events are in the books.
    pub applied: u64,
    /// Passed over, because an admin must name the user whose books they may change, one by one.
    pub skipped: u64,
    /// Open ones that the filter still selects.
    pub left: u64,
    /// The effect of each; of a dry run only.
    pub effects: Vec<Replay>,
}

/// Replays the open dead letters `filter` selects in stream order, each in its own transaction, and starts over until
/// nothing more applies. Calls `progress` after each.
///
/// # Errors
/// Failures of the database; earlier replays stay committed.
pub async fn replay_all(
    pool: &PgPool,
    filter: &Filter,
    options: &ReplayOptions,
    mut progress: impl FnMut(&Summary),
) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut connection = pool.acquire().await?;
    let mut applied_before = 0;
    let mut after = None;
    loop {
        if after.is_none() {
            // Each pass meets them again.
            summary.skipped = 0;
        }
        let page = filter::open_page(&mut connection, filter, after.as_ref(), PAGE).await?;
        for id in page.ids {
            replay_one(&mut connection, id, options, &mut summary).await?;
            progress(&summary);
        }

        after = page.last;
        if after.is_none() {
            if summary.applied == applied_before {
                break;
            }
            applied_before = summary.applied;
        }
    }

    summary.left = filter::count_open(&mut connection, filter).await?;
    Ok(summary)
}

/// Like one pass of [`replay_all`] over at most `limit` dead letters after the dead letter `after`. Also returns the dead
/// letter to continue after, `None` at the end.
///
/// # Errors
/// Failures of the database; earlier replays stay committed. [`Error::InvalidValue`] when there is no dead letter `after`.
pub async fn replay_some(
    pool: &PgPool,
    filter: &Filter,
    options: &ReplayOptions,
    after: Option<Uuid>,
    limit: u32,
) -> Result<(Summary, Option<Uuid>)> {
    let mut connection = pool.acquire().await?;
    let after = filter::place_of(&mut connection, filter, after).await?;
    let page = filter::open_page(&mut connection, filter, after.as_ref(), limit).await?;

    let mut summary = Summary::default();
    for id in page.ids {
        replay_one(&mut connection, id, options, &mut summary).await?;
    }
    summary.left = filter::count_open(&mut connection, filter).await?;
    Ok((summary, page.last.map(|place| place.id)))
}

/// Returns the effects that [`replay_some`] would have, without changing anything. Also returns the dead letter to continue
/// after, `None` at the end. Locks no dead letter; the accounts are locked until it ends, because each replay sees the effects
/// of those before it.
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
    let options = ReplayOptions {
        dry_run: true,
        ..options.clone()
    };
    let mut transaction = pool.begin().await?;
    let after = filter::place_of(&mut transaction, filter, after).await?;
    let page = filter::open_page(&mut transaction, filter, after.as_ref(), limit).await?;

    let mut summary = Summary {
        left: filter::count_open(&mut transaction, filter).await?,
        ..Summary::default()
    };
    lock_accounts(&mut transaction, &page.ids).await?;
    for id in page.ids {
        match attempt(&mut transaction, id, &options).await? {
            Attempt::Tried(effect) => {
                summary.tried += 1;
                summary.applied += u64::from(effect.refused.is_none());
                summary.effects.push(effect);
            }
            Attempt::Skipped => summary.skipped += 1,
            Attempt::Closed => {}
        }
    }
    transaction.rollback().await?;
    Ok((summary, page.last.map(|place| place.id)))
}

/// Locks the accounts of all these dead letters in the order in which a batch locks them. Locked one dead letter after the
/// other, they could deadlock with a batch.
async fn lock_accounts(connection: &mut PgConnection, ids: &[Uuid]) -> Result<()> {
    let letters = read::get_all(connection, ids).await?;
    let works = values(&letters, |letter| letter.work(&letter.subject));
    let entries: Vec<&Entry> = works.iter().filter_map(Work::entry).collect();
    ledger::lock(connection, entries.into_iter()).await?;
    Ok(())
}

async fn replay_one(
    connection: &mut PgConnection,
    id: Uuid,
    options: &ReplayOptions,
    summary: &mut Summary,
) -> Result<()> {
    let mut transaction = connection.begin().await?;
    match attempt(&mut transaction, id, options).await? {
        Attempt::Tried(effect) => {
            transaction.commit().await?;
            effect.drift.record();
            summary.tried += 1;
            summary.applied += u64::from(effect.refused.is_none());
        }
        Attempt::Skipped => summary.skipped += 1,
        Attempt::Closed => summary.tried += 1,
    }
    Ok(())
}

/// The outcome of an attempt.
enum Attempt {
    Tried(Replay),
    /// It is never replayed among many.
    Skipped,
    /// It was closed meanwhile.
    Closed,
}

async fn attempt(
    transaction: &mut PgConnection,
    id: Uuid,
    options: &ReplayOptions,
) -> Result<Attempt> {
    match replay(transaction, id, options, rand::random()).await {
        Ok(effect) => Ok(Attempt::Tried(effect)),
        Err(Error::Conflict(Conflict::AcceptUserRequired)) => Ok(Attempt::Skipped),
        Err(Error::Conflict(_) | Error::NotFound(_)) => Ok(Attempt::Closed),
        Err(error) => Err(error),
    }
}
