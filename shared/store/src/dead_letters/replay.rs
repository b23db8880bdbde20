//! Replays one dead letter by an operator's decision.

use super::resolve::Actor;
use super::{queue, read, resolve};
use crate::bots;
use crate::error::Result;
use crate::ledger::{
    self, Applied, Cause, ClaimState, Claims, Disposition, Entry, Work, assert_fresh,
};
use sqlx::PgConnection;
use tiris_domain::event::Subject;
use tiris_domain::ids::{AccountId, TransactionId};
use tiris_domain::ledger::Posting;
use tiris_domain::money::Money;
use uuid::Uuid;

/// Options of a replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Whether amounts that move are rounded half to even to 12 decimal places.
    pub round: bool,
    /// Whether the caller rolls the transaction back, because it needs the effect only.
    pub dry_run: bool,
    /// Recorded as the author of the replay.
    pub by: Actor,
}

/// The effect of a replay on one sub-account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountChange {
    /// Id of the changed sub-account.
    pub account: AccountId,
    /// Asset of the sub-account.
    pub symbol: String,
    /// Balance before and after.
    pub balance: (Money, Money),
    /// Locked part of the balance before and after.
    pub locked: (Money, Money),
}

/// The effect of a replay.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// Id of the dead letter.
    pub id: Uuid,
    /// The reason why the event is still not in the books; `None` when it is.
    pub refused: Option<Cause>,
    /// Whether the event was in the books before; then the replay only closes the dead letter.
    pub was_applied: bool,
    /// Changes of sub-accounts, by id.
    pub accounts: Vec<AccountChange>,
    /// New postings, in order.
    pub postings: Vec<(TransactionId, Posting)>,
}

impl Replay {
    fn without_effect(id: Uuid) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    fn refused(id: Uuid, cause: Cause) -> Self {
        Self {
            id,
            refused: Some(cause),
            ..Self::default()
        }
    }

    /// `accounts` are unchanged yet.
    fn applied(id: Uuid, applied: Applied, mut accounts: Vec<AccountChange>) -> Self {
        for state in applied.effect.accounts {
            let change = accounts
                .iter_mut()
                .find(|change| change.account == state.id);
            if let Some(change) = change {
                change.balance.1 = state.balance;
                change.locked.1 = state.locked;
            }
        }

        Self {
            id,
            accounts,
            postings: applied.postings,
            ..Self::default()
        }
    }
}

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

/// Locks the accounts of `entry`, and returns them as unchanged.
async fn lock_accounts(connection: &mut PgConnection, entry: &Entry) -> Result<Vec<AccountChange>> {
    let book = ledger::lock_accounts(connection, std::iter::once(entry)).await?;
    let unchanged = book.accounts().map(|account| AccountChange {
        account: account.id,
        symbol: account.asset.as_str().to_owned(),
        balance: (account.balance, account.balance),
        locked: (account.locked, account.locked),
    });
    Ok(unchanged.collect())
}
