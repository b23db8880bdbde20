//! Replays many dead letters in stream order.

use super::filter::{self, Filter};
use super::replay::{Replay, ReplayOptions, replay};
use crate::audit;
use crate::error::{Conflict, Error, Result};
use crate::race::retried;
use sqlx::PgPool;
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

impl Summary {
    pub(super) fn count(&mut self, effect: &Replay) {
        self.tried += 1;
        self.applied += u64::from(effect.refused.is_none());
    }
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
    let mut applied_before = 0;
    let mut after = None;
    loop {
        if after.is_none() {
            // Each pass meets them again.
            summary.skipped = 0;
        }
        let mut connection = pool.acquire().await?;
        let page = filter::open_page(&mut connection, filter, after.as_ref(), PAGE).await?;
        drop(connection);
        for id in page.ids {
            replay_one(pool, id, options, &mut summary).await?;
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

    let mut connection = pool.acquire().await?;
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
    drop(connection);

    let mut summary = Summary::default();
    for id in page.ids {
        replay_one(pool, id, options, &mut summary).await?;
    }
    let mut connection = pool.acquire().await?;
    summary.left = filter::count_open(&mut connection, filter).await?;
    Ok((summary, page.last.map(|place| place.id)))
}

async fn replay_one(
    pool: &PgPool,
    id: Uuid,
    options: &ReplayOptions,
    summary: &mut Summary,
) -> Result<()> {
    let attempt = retried(async || {
        let mut transaction = pool.begin().await?;
        let attempt = Attempt::of(replay(&mut transaction, id, options, rand::random()).await)?;
        if let Attempt::Tried(effect) = &attempt {
            if let Some(actor) = options
                .recorded_as
                .as_ref()
                .filter(|_| effect.refused.is_none())
            {
                let action = effect.action(options);
                let recorded = audit::record(&mut transaction, actor, &action).await?;
                recorded.unlogged();
            }
            transaction.commit().await?;
        }
        Ok(attempt)
    });

    match attempt.await? {
        Attempt::Tried(effect) => {
            effect.drift.record();
            summary.count(&effect);
        }
        Attempt::Skipped => summary.skipped += 1,
        Attempt::Closed => summary.tried += 1,
    }
    Ok(())
}

/// The outcome of an attempt at one of many.
pub(super) enum Attempt {
    Tried(Replay),
    /// It is never replayed among many.
    Skipped,
    /// It was closed meanwhile.
    Closed,
}

impl Attempt {
    pub(super) fn of(replay: Result<Replay>) -> Result<Self> {
        match replay {
            Ok(effect) => Ok(Self::Tried(effect)),
            Err(Error::Conflict(Conflict::AcceptUserRequired)) => Ok(Self::Skipped),
            Err(Error::Conflict(_) | Error::NotFound(_)) => Ok(Self::Closed),
            Err(error) => Err(error),
        }
    }
}
