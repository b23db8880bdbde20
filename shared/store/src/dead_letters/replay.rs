//! Replays one dead letter by an operator's decision.

use super::read::Letter;
use super::resolve::Actor;
use super::{queue, read, release, resolve};
use crate::audit;
use crate::bots;
use crate::drift::DriftCounts;
use crate::error::{Conflict, Error, Result};
use crate::ledger::{
    self, Applied, Cause, ClaimState, Claims, Disposition, Entry, Work, assert_fresh,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;
use tiris_domain::event::{MalformedKind, Subject};
use tiris_domain::ids::{AccountId, LogId, TransactionId};
use tiris_domain::ledger::{Book, Posting};
use tiris_domain::money::Money;
use tiris_domain::states::DeadLetterClass;
use uuid::Uuid;

/// Options of a replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// The user whose books an event may change although another user published it, by the word of an operator.
    pub accept_user: Option<Uuid>,
    /// The author of the replay, who is recorded.
    pub by: Actor,
    /// The author in the audit trail, which a replay of many writes for each dead letter that it applies.
    pub recorded_as: Option<audit::Actor>,
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
    /// The user whose books the event changes; `None` when the message is no event.
    pub user: Option<Uuid>,
    /// The user who published the event, by its subject; `None` for a subject without a user.
    pub publisher: Option<Uuid>,
    /// The reason why the event is still not in the books; `None` when it is.
    pub refused: Option<Cause>,
    /// Whether the event was in the books before; then the replay only closes the dead letter.
    pub was_applied: bool,
    /// Changes of sub-accounts, by id.
    pub accounts: Vec<AccountChange>,
    /// New postings, in order.
    pub postings: Vec<(TransactionId, Posting)>,
    /// The new trading log.
    pub log: Option<LogId>,
    /// The drift of the event, to record after the commit.
    pub drift: DriftCounts,
    /// The `timestamp` of every row that was written, for [`assert_fresh`]; `None` when the ledger was not asked.
    booked_at: Option<DateTime<Utc>>,
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

    /// Returns the entry of the audit trail.
    #[must_use]
    pub fn action(&self, options: &ReplayOptions) -> audit::Action<'static> {
        let transactions: Vec<Uuid> = self.postings.iter().map(|(id, _)| id.0).collect();
        let logs: Vec<Uuid> = self.log.iter().map(|id| id.0).collect();

        audit::Action {
            name: audit::ActionName::DeadLetterReplay,
            resource: "dead_letter",
            id: Some(self.id.to_string()),
            before: None,
            after: Some(json!({
                "accept_user": options.accept_user,
                "applied": self.refused.is_none(),
                "transaction_ids": transactions,
                "trading_log_ids": logs,
            })),
        }
    }

    /// `accounts` are unchanged yet.
    fn applied(id: Uuid, applied: Applied, mut accounts: Vec<AccountChange>) -> Self {
        let mut drift = DriftCounts::default();
        drift.add(&applied);
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
            log: Some(applied.log),
            drift,
            ..Self::default()
        }
    }
}

/// Replays an open dead letter inside the caller's transaction. A refused one stays as it is. `seed` is random, for the
/// row ids.
///
/// # Errors
/// [`NotFound`](Error::NotFound), also for one of another user, [`LetterNotOpen`](Conflict::LetterNotOpen), failures of the database.
/// [`AcceptUserRequired`](Conflict::AcceptUserRequired) when the payload names another user than the subject, and
/// [`InvalidValue`](Error::InvalidValue) when `accept_user` is not that user.
pub async fn replay(
    connection: &mut PgConnection,
    id: Uuid,
    options: &ReplayOptions,
    seed: u64,
) -> Result<Replay> {
    let letter = read::lock(connection, id).await?;
    let letter = Replayable::new(letter, options)?;
    let replay = letter.attempt(connection, &[], seed).await?;

    if replay.refused.is_none() {
        resolve::close_replayed(connection, &[id], &options.by).await?;
    }
    if let Some(timestamp) = replay.booked_at {
        assert_fresh(connection, timestamp).await?;
    }
    Ok(replay)
}

/// An open dead letter that the caller may replay.
pub(super) struct Replayable {
    letter: Letter,
    work: Work,
}

impl Replayable {
    /// # Errors
    /// Those of [`replay`].
    pub(super) fn new(letter: Letter, options: &ReplayOptions) -> Result<Self> {
        options.by.check_may_close(letter.user_id)?;
        // Afterwards, so that the status of another user's dead letter stays unknown.
        read::check_open(Some(letter.status))?;
        check_accepted(&letter, options.accept_user)?;
        let work = parsed(&letter, options.accept_user);

        Ok(Self { letter, work })
    }

    pub(super) const fn id(&self) -> Uuid {
        self.letter.id
    }

    /// Returns the entry that a replay tries to book.
    pub(super) fn entry(&self) -> Option<&Entry> {
        let entry = self.work.entry();
        entry.filter(|_| self.letter.code != Cause::EVENT_ID_REUSED)
    }

    /// Tries to apply the event; the dead letter stays as it is. `closed` are dead letters that count as closed.
    pub(super) async fn attempt(
        &self,
        connection: &mut PgConnection,
        closed: &[Uuid],
        seed: u64,
    ) -> Result<Replay> {
        Ok(Replay {
            user: self.work.names().user_id,
            publisher: self.letter.publisher(),
            ..attempt(connection, self, closed, seed).await?
        })
    }
}

/// Fails unless the user whose books change is the publisher, or is named by the caller.
fn check_accepted(letter: &Letter, accept_user: Option<Uuid>) -> Result<()> {
    let is_mismatch = match letter.work(&letter.subject) {
        Work::Malformed(malformed) => malformed.kind == MalformedKind::SubjectMismatch,
        Work::Entry(_) | Work::Heartbeat(_) => false,
    };
    match accept_user {
        None if is_mismatch || letter.code == Cause::SUBJECT_MISMATCH => {
            Err(Error::Conflict(Conflict::AcceptUserRequired))
        }
        Some(_) if !is_mismatch => Err(Error::invalid(
            "accept_user",
            "is only for dead letters whose payload names another user than their subject",
        )),
        Some(user) if letter.claimed_user() != Some(user) => Err(Error::invalid(
            "accept_user",
            "must be the `user_id` in the payload of the dead letter",
        )),
        None | Some(_) => Ok(()),
    }
}

/// Parses the event by its subject, or, for an accepted user, as one on a subject without a user.
fn parsed(letter: &Letter, accept_user: Option<Uuid>) -> Work {
    let subject = Subject::parse(&letter.subject).filter(|_| accept_user.is_some());
    let subject = subject.map_or(letter.subject.as_str(), |subject| {
        subject.kind.bare_subject()
    });
    letter.work(subject)
}

async fn attempt(
    connection: &mut PgConnection,
    Replayable { letter, work }: &Replayable,
    closed: &[Uuid],
    seed: u64,
) -> Result<Replay> {
    let id = letter.id;
    if letter.code == Cause::EVENT_ID_REUSED {
        return Ok(Replay::refused(id, Cause::EventIdReused));
    }
    if letter.code == Cause::BEHIND_UNRESOLVED && queue::is_behind(connection, id, closed).await? {
        return Ok(Replay::refused(id, Cause::BehindUnresolved));
    }

    match work {
        Work::Malformed(malformed) => Ok(Replay::refused(id, Cause::Malformed(malformed.clone()))),
        Work::Heartbeat(heartbeat) => {
            bots::upsert_latest(connection, &[heartbeat]).await?;
            Ok(Replay::without_effect(id))
        }
        Work::Entry(entry) => {
            let replay = book(connection, id, entry, seed).await?;
            if replay.refused.is_some() && letter.class == DeadLetterClass::Malformed {
                release::release(connection, &[entry]).await?;
            }
            Ok(replay)
        }
    }
}

async fn book(connection: &mut PgConnection, id: Uuid, entry: &Entry, seed: u64) -> Result<Replay> {
    let locked = ledger::lock_all(connection, &[entry]).await?;
    let batch = ledger::fold(connection, &[entry], Claims::Again, None, seed).await?;
    let disposition = batch.dispositions.into_iter().next();

    Ok(Replay {
        booked_at: Some(batch.timestamp),
        ..outcome(connection, id, entry, disposition, &locked).await?
    })
}

/// `locked` has the accounts as they were before.
async fn outcome(
    connection: &mut PgConnection,
    id: Uuid,
    entry: &Entry,
    disposition: Option<Disposition>,
    locked: &Book,
) -> Result<Replay> {
    match disposition {
        Some(Disposition::Applied(applied)) => Ok(Replay::applied(id, applied, unchanged(locked))),
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

fn unchanged(book: &Book) -> Vec<AccountChange> {
    let unchanged = book.accounts().map(|account| AccountChange {
        account: account.id,
        symbol: account.asset.as_str().to_owned(),
        balance: (account.balance, account.balance),
        locked: (account.locked, account.locked),
    });
    unchanged.collect()
}
