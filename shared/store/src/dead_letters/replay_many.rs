//! Replays many dead letters in stream order.

use super::filter::{self, Filter};
use super::replay::{Replay, ReplayOptions, replay};
use crate::error::{Error, Result};
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
    let after = filter::place_of(&mut connection, after).await?;
    let page = filter::open_page(&mut connection, filter, after.as_ref(), limit).await?;

    let mut summary = Summary::default();
    for id in page.ids {
        replay_one(&mut connection, id, options, &mut summary).await?;
    }
    summary.left = filter::count_open(&mut connection, filter).await?;
    Ok((summary, page.last.map(|place| place.id)))
}

/// Returns the effects that [`replay_some`] would have, without changing anything. Also returns the dead letter to continue
/// after, `None` at the end.
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
    let after = filter::place_of(&mut transaction, after).await?;
    let page = filter::open_page(&mut transaction, filter, after.as_ref(), limit).await?;

    let mut summary = Summary {
        left: filter::count_open(&mut transaction, filter).await?,
        ..Summary::default()
    };
    for id in page.ids {
        if let Some(effect) = attempt(&mut transaction, id, &options).await? {
            summary.tried += 1;
            summary.applied += u64::from(effect.refused.is_none());
            summary.effects.push(effect);
        }
    }
    transaction.rollback().await?;
    Ok((summary, page.last.map(|place| place.id)))
}

async fn replay_one(
    connection: &mut PgConnection,
    id: Uuid,
    options: &ReplayOptions,
    summary: &mut Summary,
) -> Result<()> {
    let mut transaction = connection.begin().await?;
    if let Some(effect) = attempt(&mut transaction, id, options).await? {
        transaction.commit().await?;
        summary.applied += u64::from(effect.refused.is_none());
    }
    summary.tried += 1;
    Ok(())
}

/// Replays a dead letter; `None` when it was closed meanwhile.
async fn attempt(
    transaction: &mut PgConnection,
    id: Uuid,
    options: &ReplayOptions,
) -> Result<Option<Replay>> {
    match replay(transaction, id, options, rand::random()).await {
        Ok(effect) => Ok(Some(effect)),
        Err(Error::Conflict(_) | Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
