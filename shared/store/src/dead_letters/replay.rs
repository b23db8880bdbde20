//! Replay of a letter by a person: the same event once more, or only what it would do.

use super::effect::{AccountBefore, Replay, ReplayOptions};
use super::queue;
use super::resolve;
use crate::bots;
use crate::error::{Conflict, Error, Result};
use crate::ledger::{
    self, Cause, ClaimState, Claims, Disposition, Entry, Origin, Waiting, Work, assert_fresh,
};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tiris_domain::event::{BareSubjects, Subject};
use tiris_domain::ids::AccountId;
use tiris_domain::lane::EventStream;
use tiris_domain::money::Money;
use tiris_domain::states::DeadLetterStatus;
use uuid::Uuid;

#[derive(sqlx::FromRow)]
struct Letter {
    #[sqlx(try_from = "String")]
    stream: EventStream,
    #[sqlx(try_from = "i64")]
    stream_seq: u64,
    subject: String,
    payload: Vec<u8>,
    broker_time: Option<DateTime<Utc>>,
    code: String,
    #[sqlx(try_from = "String")]
    status: DeadLetterStatus,
}

impl Letter {
    /// By its bare subject: the person who replays it vouches for the user, whatever subject the event came by.
    fn work(&self) -> Work {
        let subject = Subject::parse(&self.subject);
        let subject = subject.map_or(self.subject.as_str(), |subject| subject.kind.bare_subject());
        let origin = Origin {
            stream: self.stream,
            stream_seq: self.stream_seq,
            broker_time: self.broker_time,
        };

        Work::parse(subject, &self.payload, BareSubjects::Accept, &origin)
    }
}

/// Replays an open letter inside the caller's transaction. When it is refused the letter stays as it is. `seed` is
/// random, for the row ids.
///
/// # Errors
/// [`Error::NotFound`], [`Conflict::LetterNotOpen`], failures of the database.
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
    if letter.status != DeadLetterStatus::Open {
        return Err(Error::Conflict(Conflict::LetterNotOpen));
    }
    if letter.code == Cause::EVENT_ID_REUSED {
        return Ok(Replay::refused(id, Cause::EventIdReused));
    }
    if letter.code == Cause::BEHIND_UNRESOLVED && queue::is_behind(connection, id).await? {
        return Ok(Replay::refused(id, Cause::BehindUnresolved));
    }

    let replay = match letter.work() {
        Work::Malformed(malformed) => Replay::refused(id, Cause::Malformed(malformed)),
        Work::Heartbeat(heartbeat) => {
            bots::keep_latest(connection, &[&heartbeat]).await?;
            Replay::without_effect(id)
        }
        Work::Entry(mut entry) => {
            if options.round {
                entry.command = entry.command.rounded();
            }
            book(connection, id, Work::Entry(entry), options, seed).await?
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
    work: Work,
    options: &ReplayOptions,
    seed: u64,
) -> Result<Replay> {
    let entries: Vec<&Entry> = work.entry().into_iter().collect();
    let before = lock_accounts(connection, &entries).await?;
    let works = std::slice::from_ref(&work);
    let batch = ledger::apply(connection, works, Claims::Again, Waiting::default(), seed).await?;
    if !options.dry_run {
        assert_fresh(connection, batch.timestamp).await?;
    }

    match batch.dispositions.into_iter().next() {
        Some(Disposition::Applied(applied)) => Ok(Replay::applied(id, applied, before)),
        Some(Disposition::DeadLetter(cause)) => Ok(Replay::refused(id, cause)),
        Some(Disposition::Deferred) => Ok(Replay::refused(id, Cause::BehindUnresolved)),
        Some(Disposition::Duplicate | Disposition::Recorded) | None => {
            let mut states = ledger::claim_states(connection, &entries)
                .await?
                .into_values();
            if states.any(|state| state == ClaimState::Discarded) {
                return Ok(Replay::refused(id, Cause::EventDiscarded));
            }
            Ok(Replay {
                was_applied: true,
                ..Replay::without_effect(id)
            })
        }
    }
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    #[sqlx(try_from = "Uuid")]
    id: AccountId,
    symbol: String,
    balance: Decimal,
    locked: Decimal,
}

/// The accounts of `entries` as they are, under lock, in the order the ledger locks them too.
async fn lock_accounts(
    connection: &mut PgConnection,
    entries: &[&Entry],
) -> Result<Vec<AccountBefore>> {
    let accounts = entries.iter().flat_map(|entry| entry.accounts());
    let ids: Vec<Uuid> = accounts.map(|id| id.0).collect();
    let rows: Vec<AccountRow> = sqlx::query_as(
        "SELECT id, symbol, balance, locked FROM sub_accounts WHERE id = ANY($1) AND deleted_at IS NULL \
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;

    let money = |value: Decimal| {
        Money::from_decimal(value).ok_or_else(|| Error::internal("a balance out of range"))
    };
    let before = rows.into_iter().map(|row| {
        Ok(AccountBefore {
            id: row.id,
            symbol: row.symbol,
            balance: money(row.balance)?,
            locked: money(row.locked)?,
        })
    });
    before.collect()
}
