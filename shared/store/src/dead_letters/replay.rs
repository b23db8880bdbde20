//! Replay of letters by a person: the same event once more, or only what it would do.
//!
//! Owns: one replay, and many in stream order. Must not know: who may ask, how the answer is shown.

use super::filter::{self, Filter};
use super::resolve::{self, Actor};
use super::{BEHIND_UNRESOLVED, Cause, EVENT_ID_REUSED, queue};
use crate::bots;
use crate::error::{Conflict, Error, Result};
use crate::ledger::{
    self, Applied, Claims, Entry, FromEvent, Origin, Outcome, Waiting, assert_fresh, from_event,
};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sqlx::{Connection as _, PgConnection, PgPool};
use tiris_domain::event::{self, BareSubjects, Subject};
use tiris_domain::ids::{AccountId, TransactionId};
use tiris_domain::ledger::Posting;
use tiris_domain::money::Money;
use uuid::Uuid;

/// Letters read at once for a bulk replay.
const PAGE: u32 = 500;

/// How a letter is replayed.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Whether amounts that move are rounded half to even to 12 decimal places.
    pub round: bool,
    /// Whether only the effect is asked for; the caller then rolls back.
    pub dry_run: bool,
    /// Who asks.
    pub by: Actor,
}

/// What a replay does to one sub-account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountChange {
    /// The account.
    pub account: AccountId,
    /// What it holds.
    pub symbol: String,
    /// Balance before and after.
    pub balance: (Money, Money),
    /// Of which is locked, before and after.
    pub locked: (Money, Money),
}

/// What a replay did, or would do.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The letter.
    pub id: Uuid,
    /// Why it is still no part of the books; none when it is now.
    pub refused: Option<Cause>,
    /// Whether the event was in the books already by another way; then only the letter is closed.
    pub was_applied: bool,
    /// The accounts it touches, by id.
    pub accounts: Vec<AccountChange>,
    /// The postings it makes, in order.
    pub postings: Vec<(TransactionId, Posting)>,
}

impl Replay {
    fn without_effect(id: Uuid) -> Self {
        Self {
            id,
            refused: None,
            was_applied: false,
            accounts: Vec::new(),
            postings: Vec::new(),
        }
    }

    fn refused(id: Uuid, cause: Cause) -> Self {
        Self {
            refused: Some(cause),
            ..Self::without_effect(id)
        }
    }
}

#[derive(sqlx::FromRow)]
struct Letter {
    stream: String,
    stream_seq: i64,
    subject: String,
    payload: Vec<u8>,
    broker_time: Option<DateTime<Utc>>,
    code: String,
    status: String,
}

/// Replays an open letter inside the caller's transaction. When it is refused the letter stays as it is. `seed` is
/// random, for the row ids.
///
/// # Errors
/// [`Error::NotFound`], [`Conflict::LetterNotOpen`], trouble of the database.
pub async fn replay(
    connection: &mut PgConnection,
    id: Uuid,
    options: &ReplayOptions,
    seed: u64,
) -> Result<Replay> {
    let letter: Option<Letter> = sqlx::query_as(
        "SELECT stream, stream_seq, subject, payload, broker_time, code, status FROM dead_letters WHERE id = $1 \
         FOR NO KEY UPDATE",
    )
    .bind(id)
    .fetch_optional(&mut *connection)
    .await?;
    let letter = letter.ok_or(Error::NotFound("dead letter"))?;
    if letter.status != "open" {
        return Err(Error::Conflict(Conflict::LetterNotOpen));
    }
    if letter.code == EVENT_ID_REUSED {
        return Ok(Replay::refused(id, Cause::event_id_reused()));
    }
    if letter.code == BEHIND_UNRESOLVED && queue::is_behind(connection, id).await? {
        return Ok(Replay::refused(id, Cause::behind_unresolved()));
    }
    let work = match parse(&letter) {
        Ok(work) => work,
        Err(cause) => return Ok(Replay::refused(id, cause)),
    };
    let replay = match work {
        FromEvent::Beat(beat) => {
            bots::keep_latest(connection, &[*beat]).await?;
            Replay::without_effect(id)
        }
        FromEvent::Entry(mut entry) => {
            if options.round {
                entry.command = entry.command.rounded();
            }
            book(connection, id, *entry, options, seed).await?
        }
    };
    if replay.refused.is_none() {
        resolve::close_replayed(connection, &[id], &options.by).await?;
    }
    Ok(replay)
}

/// By its bare subject: whoever replays vouches for the user, whatever subject the event came by.
fn parse(letter: &Letter) -> Result<FromEvent, Cause> {
    let subject = Subject::parse(&letter.subject);
    let subject = subject.map_or(letter.subject.as_str(), |subject| {
        subject.kind.bare_subject()
    });
    let event = event::parse(subject, &letter.payload, BareSubjects::Accept)
        .map_err(|error| Cause::from(&*error))?;
    let origin = Origin {
        stream: &letter.stream,
        stream_seq: letter.stream_seq,
        broker_time: letter.broker_time,
    };
    Ok(from_event(event, &origin))
}

async fn book(
    connection: &mut PgConnection,
    id: Uuid,
    entry: Entry,
    options: &ReplayOptions,
    seed: u64,
) -> Result<Replay> {
    let before = figures(connection, &entry).await?;
    let entries = [entry];
    let batch = ledger::apply_events(
        connection,
        &entries,
        Claims::Again,
        Waiting::default(),
        seed,
    )
    .await?;
    if !options.dry_run {
        assert_fresh(connection, batch.timestamp).await?;
    }
    let cause = match batch.outcomes.into_iter().next() {
        Some(Outcome::Applied(applied)) => return Ok(done(id, applied, before)),
        Some(Outcome::Duplicate) => {
            let outcomes = ledger::outcomes_of(connection, &entries).await?;
            if outcomes.values().any(|outcome| outcome == "discarded") {
                return Ok(Replay::refused(id, Cause::event_discarded()));
            }
            return Ok(Replay {
                was_applied: true,
                ..Replay::without_effect(id)
            });
        }
        Some(Outcome::Rejected(rejection)) => Cause::from(rejection),
        Some(Outcome::Behind) => Cause::behind_unresolved(),
        Some(Outcome::Reused) | None => Cause::event_id_reused(),
    };
    Ok(Replay::refused(id, cause))
}

fn done(id: Uuid, applied: Applied, before: Vec<Figures>) -> Replay {
    let changed = |(account, symbol, balance, locked): Figures| {
        let after = applied
            .effect
            .accounts
            .iter()
            .rev()
            .find(|state| state.id == account);
        let (balance_after, locked_after) =
            after.map_or((balance, locked), |state| (state.balance, state.locked));
        AccountChange {
            account,
            symbol,
            balance: (balance, balance_after),
            locked: (locked, locked_after),
        }
    };
    Replay {
        accounts: before.into_iter().map(changed).collect(),
        postings: applied.postings,
        ..Replay::without_effect(id)
    }
}

/// Account, symbol, balance, locked.
type Figures = (AccountId, String, Money, Money);

/// The accounts of `entry` as they are, under lock, in the order the ledger locks them too.
async fn figures(connection: &mut PgConnection, entry: &Entry) -> Result<Vec<Figures>> {
    let mut ids: Vec<Uuid> = entry
        .command
        .accounts()
        .into_iter()
        .chain(entry.sub_account)
        .map(|id| id.0)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let rows: Vec<(Uuid, String, Decimal, Decimal)> = sqlx::query_as(
        "SELECT id, symbol, balance, locked FROM sub_accounts WHERE id = ANY($1) AND deleted_at IS NULL \
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let money = |value: Decimal| {
        Money::from_decimal(value).ok_or_else(|| Error::internal("a balance out of range"))
    };
    rows.into_iter()
        .map(|(id, symbol, balance, locked)| {
            Ok((AccountId(id), symbol, money(balance)?, money(locked)?))
        })
        .collect()
}

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

/// Replays the open letters `filter` selects in stream order, each in a transaction of its own, and begins again until
/// nothing more applies. `progress` is called after each.
///
/// # Errors
/// Trouble of the database; what was replayed before stays so.
pub async fn replay_all(
    pool: &PgPool,
    filter: &Filter,
    options: &ReplayOptions,
    mut progress: impl FnMut(&Summary),
) -> Result<Summary> {
    let mut summary = Summary::default();
    loop {
        let (mut after, applied_before) = (None, summary.applied);
        loop {
            after = replay_page(
                pool,
                filter,
                options,
                after,
                PAGE,
                &mut summary,
                &mut progress,
            )
            .await?;
            if after.is_none() {
                break;
            }
        }
        if summary.applied == applied_before {
            break;
        }
    }
    summary.left = filter::count_open(&mut *pool.acquire().await?, filter).await?;
    Ok(summary)
}

/// Like one pass of [`replay_all`], at most `limit` letters behind the letter `after`; answers also behind which letter to
/// go on, none when it came to the end.
///
/// # Errors
/// Trouble of the database; what was replayed before stays so. [`Error::InvalidValue`] when there is no letter `after`.
pub async fn replay_some(
    pool: &PgPool,
    filter: &Filter,
    options: &ReplayOptions,
    after: Option<Uuid>,
    limit: u32,
) -> Result<(Summary, Option<Uuid>)> {
    let mut summary = Summary::default();
    let after = filter::place_of(&mut *pool.acquire().await?, after).await?;
    let next = replay_page(
        pool,
        filter,
        options,
        after,
        limit,
        &mut summary,
        &mut |_| (),
    )
    .await?;
    summary.left = filter::count_open(&mut *pool.acquire().await?, filter).await?;
    Ok((summary, next.map(|place| place.3)))
}

async fn replay_page(
    pool: &PgPool,
    filter: &Filter,
    options: &ReplayOptions,
    after: Option<filter::Place>,
    limit: u32,
    summary: &mut Summary,
    progress: &mut impl FnMut(&Summary),
) -> Result<Option<filter::Place>> {
    let mut connection = pool.acquire().await?;
    let page = filter::open_ids(&mut connection, filter, after.as_ref(), limit).await?;
    let is_full = u32::try_from(page.len()) == Ok(limit);
    let last = page
        .last()
        .map(|(_, place)| place.clone())
        .filter(|_| is_full);
    for (id, _) in page {
        let mut transaction = connection.begin().await?;
        match replay(&mut transaction, id, options, rand::random()).await {
            Ok(done) => {
                transaction.commit().await?;
                summary.applied += u64::from(done.refused.is_none());
            }
            // Somebody else closed it meanwhile.
            Err(Error::Conflict(_) | Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        summary.tried += 1;
        progress(summary);
    }
    Ok(last)
}

/// What a pass of [`replay_all`] would do with the first `limit` letters behind the letter `after`, one after the other;
/// nothing is changed. Answers also behind which letter to go on, none when it came to the end.
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
    let page = filter::open_ids(&mut transaction, filter, after.as_ref(), limit).await?;
    let is_full = u32::try_from(page.len()) == Ok(limit);
    let last = page.last().map(|(id, _)| *id).filter(|_| is_full);
    for (id, _) in page {
        let effect = match replay(&mut transaction, id, &options, rand::random()).await {
            Ok(effect) => effect,
            // Somebody else closed it meanwhile.
            Err(Error::Conflict(_) | Error::NotFound(_)) => continue,
            Err(error) => return Err(error),
        };
        summary.tried += 1;
        summary.applied += u64::from(effect.refused.is_none());
        summary.effects.push(effect);
    }
    transaction.rollback().await?;
    Ok((summary, last))
}
