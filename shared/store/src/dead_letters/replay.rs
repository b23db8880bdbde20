//! Replays one dead letter by an operator's decision.

use super::effect::{AccountChange, Replay, ReplayOptions};
use super::{queue, read, resolve};
use crate::error::Result;
use crate::ledger::{self, Cause, ClaimState, Claims, Disposition, Entry, Work, assert_fresh};
use crate::{bots, column};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tiris_domain::event::Subject;
use tiris_domain::ids::AccountId;
use uuid::Uuid;

/// Replays an open dead letter inside the caller's transaction. A refused one stays as it is. `seed` is random, for the
/// row ids.
///
/// # Errors
/// [`NotFound`](crate::error::Error::NotFound), [`LetterNotOpen`](crate::error::Conflict::LetterNotOpen), failures of the
/// database.
pub async fn replay(
    connection: &mut PgConnection,
    id: Uuid,
    options: &ReplayOptions,
    seed: u64,
) -> Result<Replay> {
    let letter = read::lock_open(connection, id).await?;
    if letter.code == Cause::EVENT_ID_REUSED {
        return Ok(Replay::refused(id, Cause::EventIdReused));
    }
    if letter.code == Cause::BEHIND_UNRESOLVED && queue::is_behind(connection, id).await? {
        return Ok(Replay::refused(id, Cause::BehindUnresolved));
    }

    // The operator vouches for the user, even where the subject of the event names another.
    let subject = Subject::parse(&letter.subject);
    let subject = subject.map_or(letter.subject.as_str(), |subject| {
        subject.kind.bare_subject()
    });
    let replay = match letter.work(subject) {
        Work::Malformed(malformed) => Replay::refused(id, Cause::Malformed(malformed)),
        Work::Heartbeat(heartbeat) => {
            bots::upsert_latest(connection, &[&heartbeat]).await?;
            Replay::without_effect(id)
        }
        Work::Entry(mut entry) => {
            if options.round {
                entry.command = entry.command.rounded();
            }
            book(connection, id, &entry, options, seed).await?
        }
    };
    if replay.refused.is_none() {
        resolve::close_replayed(connection, &[id], &options.by).await?;
    }
    Ok(replay)
}

async fn book(
    connection: &mut PgConnection,
    id: Uuid,
    entry: &Entry,
    options: &ReplayOptions,
    seed: u64,
) -> Result<Replay> {
    let accounts = lock_accounts(connection, entry).await?;
    let batch = ledger::fold(connection, &[entry], Claims::Again, None, seed).await?;
    if !options.dry_run {
        assert_fresh(connection, batch.timestamp).await?;
    }

    match batch.dispositions.into_iter().next() {
        Some(Disposition::Applied(applied)) => Ok(Replay::applied(id, applied, accounts)),
        Some(Disposition::DeadLetter(cause)) => Ok(Replay::refused(id, cause)),
        Some(Disposition::Deferred) => Ok(Replay::refused(id, Cause::BehindUnresolved)),
        Some(Disposition::Duplicate | Disposition::Recorded) | None => {
            let states = ledger::claim_states(connection, &[entry]).await?;
            if states
                .into_values()
                .any(|state| state == ClaimState::Discarded)
            {
                return Ok(Replay::refused(id, Cause::EventDiscarded));
            }

            Ok(Replay {
                was_applied: true,
                ..Replay::without_effect(id)
            })
        }
    }
}

/// Returns the accounts of `entry` under lock, in the order in which the ledger locks them too.
async fn lock_accounts(connection: &mut PgConnection, entry: &Entry) -> Result<Vec<AccountChange>> {
    let ids: Vec<Uuid> = entry.accounts().into_iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, String, Decimal, Decimal)> = sqlx::query_as(
        "SELECT id, symbol, balance, locked FROM sub_accounts WHERE id = ANY($1) AND deleted_at IS NULL \
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;

    let unchanged = rows.into_iter().map(|(id, symbol, balance, locked)| {
        let balance = column::money(balance)?;
        let locked = column::money(locked)?;
        Ok(AccountChange {
            account: AccountId(id),
            symbol,
            balance: (balance, balance),
            locked: (locked, locked),
        })
    });
    unchanged.collect()
}
