//! Replay of many letters in stream order.

use super::effect::{Replay, ReplayOptions};
use super::filter::{self, Filter, Place};
use super::replay::replay;
use crate::error::{Error, Result};
use sqlx::{Connection as _, PgConnection, PgPool};
use uuid::Uuid;

/// Letters read at once for a bulk replay.
const PAGE: u32 = 500;

/// What a bulk replay came to, in letters.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Tries, of the same letter more than once perhaps.
    pub tried: u64,
    /// In the books now, or found there.
    pub applied: u64,
    /// Letters `filter` still selects.
    pub left: u64,
    /// What each would do, of a dry run only.
    pub effects: Vec<Replay>,
}

/// Open letters in stream order, and behind which one to continue.
struct Page {
    ids: Vec<Uuid>,
    next: Option<Place>,
}

impl Page {
    async fn read(
        connection: &mut PgConnection,
        filter: &Filter,
        after: Option<&Place>,
        limit: u32,
    ) -> Result<Self> {
        let places = filter::open_places(connection, filter, after, limit).await?;
        let is_full = u32::try_from(places.len()) == Ok(limit);

        Ok(Self {
            ids: places.iter().map(|place| place.id).collect(),
            next: places.into_iter().next_back().filter(|_| is_full),
        })
    }
}

/// Replays the open letters `filter` selects in stream order, each in a transaction of its own, and begins again until
/// nothing more applies. `progress` is called after each.
///
/// # Errors
/// Failures of the database; what was replayed before stays so.
pub async fn replay_all(
    pool: &PgPool,
    filter: &Filter,
    options: &ReplayOptions,
    mut progress: impl FnMut(&Summary),
) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut connection = pool.acquire().await?;
    loop {
        let applied_before = summary.applied;
        let mut after = None;
        loop {
            let page = Page::read(&mut connection, filter, after.as_ref(), PAGE).await?;
            for id in page.ids {
                replay_one(&mut connection, id, options, &mut summary).await?;
                progress(&summary);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if summary.applied == applied_before {
            break;
        }
    }

    summary.left = filter::count_open(&mut connection, filter).await?;
    Ok(summary)
}

/// Like one pass of [`replay_all`], at most `limit` letters behind the letter `after`. Returns also behind which letter to
/// continue, none at the end.
///
/// # Errors
/// Failures of the database; what was replayed before stays so. [`Error::InvalidValue`] when there is no letter `after`.
pub async fn replay_some(
    pool: &PgPool,
    filter: &Filter,
    options: &ReplayOptions,
    after: Option<Uuid>,
    limit: u32,
) -> Result<(Summary, Option<Uuid>)> {
    let mut summary = Summary::default();
    let mut connection = pool.acquire().await?;
    let after = filter::place_of(&mut connection, after).await?;
    let page = Page::read(&mut connection, filter, after.as_ref(), limit).await?;
    for id in page.ids {
        replay_one(&mut connection, id, options, &mut summary).await?;
    }

    summary.left = filter::count_open(&mut connection, filter).await?;
    Ok((summary, page.next.map(|place| place.id)))
}

async fn replay_one(
    connection: &mut PgConnection,
    id: Uuid,
    options: &ReplayOptions,
    summary: &mut Summary,
) -> Result<()> {
    let mut transaction = connection.begin().await?;
    if let Some(effect) = if_open(replay(&mut transaction, id, options, rand::random()).await)? {
        transaction.commit().await?;
        summary.applied += u64::from(effect.refused.is_none());
    }
    summary.tried += 1;
    Ok(())
}

/// None when the letter was closed meanwhile.
fn if_open(replayed: Result<Replay>) -> Result<Option<Replay>> {
    match replayed {
        Err(Error::Conflict(_) | Error::NotFound(_)) => Ok(None),
        replayed => replayed.map(Some),
    }
}

/// What a pass of [`replay_all`] would do with the first `limit` letters behind the letter `after`, one after the other;
/// nothing is changed. Returns also behind which letter to continue, none at the end.
///
/// # Errors
/// Failures of the database. [`Error::InvalidValue`] when there is no letter `after`.
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
    let mut summary = Summary {
        left: filter::count_open(&mut transaction, filter).await?,
        ..Summary::default()
    };
    let after = filter::place_of(&mut transaction, after).await?;
    let page = Page::read(&mut transaction, filter, after.as_ref(), limit).await?;
    for id in page.ids {
        let replayed = replay(&mut transaction, id, &options, rand::random()).await;
        if let Some(effect) = if_open(replayed)? {
            summary.tried += 1;
            summary.applied += u64::from(effect.refused.is_none());
            summary.effects.push(effect);
        }
    }

    transaction.rollback().await?;
    Ok((summary, page.next.map(|place| place.id)))
}
