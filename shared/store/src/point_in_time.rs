//! What the balance of an account was, and how it changed.
//!
//! Owns: both times, when it was booked and when it happened, and what to do where the oldest history is gone. Must not
//! know: who asks, which database answers.
//!
//! By the time of booking a balance is the closing balance of the last posting; before the first one that is still kept,
//! it is what that one began with. By the time of happening it is the current balance less all that happened since. Each
//! answer is one statement, so that balance and postings are of one moment.

use crate::column::number;
use crate::error::Result;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgExecutor;
use tiris_domain::ids::AccountId;
use tiris_domain::money::Number;

/// Which time is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// When it was booked: `timestamp`.
    Recorded,
    /// When it happened, by the caller: `event_time`.
    Event,
}

/// A piece of an account's history in which something was booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its first moment.
    pub time: DateTime<Utc>,
    /// The balance when it began.
    pub opening_balance: Number,
    /// What came in.
    pub credits: Number,
    /// What went out.
    pub debits: Number,
    /// How many postings that were.
    pub count: i64,
    /// The balance when it ended.
    pub closing_balance: Number,
}

/// An account's history from one moment to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastBalances {
    /// The balance at its beginning.
    pub opening_balance: Number,
    /// The balance at its end.
    pub closing_balance: Number,
    /// The pieces in which something was booked, oldest first.
    pub pieces: Vec<Piece>,
}

/// Balance of account $1 just before $2.
macro_rules! balance_before {
    (recorded) => {
        "SELECT coalesce( \
             (SELECT closing_balance FROM transactions WHERE sub_account_id = a.id AND timestamp < $2 \
              ORDER BY timestamp DESC, sequence DESC LIMIT 1), \
             (SELECT closing_balance - CASE direction WHEN 'credit' THEN amount ELSE -amount END FROM transactions \
              WHERE sub_account_id = a.id AND timestamp >= $2 ORDER BY timestamp, sequence LIMIT 1), \
             a.balance)::text AS balance FROM sub_accounts a WHERE a.id = $1"
    };
    (event) => {
        "SELECT (a.balance - coalesce( \
             (SELECT sum(CASE direction WHEN 'credit' THEN amount ELSE -amount END) FROM transactions \
              WHERE sub_account_id = a.id AND event_time >= $2), 0))::text AS balance FROM sub_accounts a WHERE a.id = $1"
    };
}

/// The pieces of account $1 from $3 to $2 (exclusive), each $4 long. By the time of booking the database may have them
/// added up already.
macro_rules! pieces {
    (recorded) => {
        "SELECT bucket AS time, credits::text AS credits, debits::text AS debits, postings AS count \
         FROM account_history($1, $3, $2, $4)"
    };
    (event) => {
        "SELECT date_trunc($4, event_time, 'UTC') AS time, \
         coalesce(sum(amount) FILTER (WHERE direction = 'credit'), 0)::text AS credits, \
         coalesce(sum(amount) FILTER (WHERE direction = 'debit'), 0)::text AS debits, count(*) AS count \
         FROM transactions WHERE sub_account_id = $1 AND event_time >= $3 AND event_time < $2 GROUP BY 1"
    };
}

/// One row at least where there is the account, so that its balance comes with the pieces.
macro_rules! history {
    ($balance:expr, $pieces:expr) => {
        concat!(
            "SELECT b.balance, p.time, p.credits, p.debits, p.count FROM (",
            $balance,
            ") b LEFT JOIN (",
            $pieces,
            ") p ON true ORDER BY p.time DESC"
        )
    };
}

/// The balance of an account at a moment, all of that moment included; `None` when there is no such account.
pub async fn balance(
    executor: impl PgExecutor<'_>,
    account: AccountId,
    at: DateTime<Utc>,
    clock: Clock,
) -> Result<Option<Number>> {
    let statement = match clock {
        Clock::Recorded => balance_before!(recorded),
        Clock::Event => balance_before!(event),
    };
    // Times are kept to the microsecond.
    let after = at + TimeDelta::microseconds(1);
    let balance: Option<String> = sqlx::query_scalar(statement)
        .bind(account.0)
        .bind(after)
        .fetch_optional(executor)
        .await?;
    balance.as_deref().map(number).transpose()
}

/// When the last posting of an account was booked, or happened.
pub async fn last_posting(
    executor: impl PgExecutor<'_>,
    account: AccountId,
    clock: Clock,
) -> Result<Option<DateTime<Utc>>> {
    let statement = match clock {
        Clock::Recorded => {
            "SELECT timestamp FROM transactions WHERE sub_account_id = $1 ORDER BY timestamp DESC LIMIT 1"
        }
        Clock::Event => {
            "SELECT event_time FROM transactions WHERE sub_account_id = $1 ORDER BY event_time DESC LIMIT 1"
        }
    };
    Ok(sqlx::query_scalar(statement)
        .bind(account.0)
        .fetch_optional(executor)
        .await?)
}

type Row = (
    String,
    Option<DateTime<Utc>>,
    Option<String>,
    Option<String>,
    Option<i64>,
);

/// The history of an account from a moment until another (exclusive) in pieces of a `unit` of PostgreSQL, in UTC, at
/// whose bounds both moments are; `None` when there is no such account.
pub async fn history(
    executor: impl PgExecutor<'_>,
    account: AccountId,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    unit: &'static str,
    clock: Clock,
) -> Result<Option<PastBalances>> {
    let statement = match clock {
        Clock::Recorded => history!(balance_before!(recorded), pieces!(recorded)),
        Clock::Event => history!(balance_before!(event), pieces!(event)),
    };
    let rows: Vec<Row> = sqlx::query_as(statement)
        .bind(account.0)
        .bind(to)
        .bind(from)
        .bind(unit)
        .fetch_all(executor)
        .await?;
    let Some((balance, ..)) = rows.first() else {
        return Ok(None);
    };
    let closing_balance = number(balance)?;
    let mut balance = closing_balance.clone();
    let mut pieces = Vec::new();
    // From the newest to the oldest: each begins with what the one after it begins with, less its own changes.
    for (_, time, credits, debits, count) in rows {
        let (Some(time), Some(credits), Some(debits), Some(count)) = (time, credits, debits, count)
        else {
            continue;
        };
        let (credits, debits) = (number(&credits)?, number(&debits)?);
        let opening_balance = balance.minus(&credits).plus(&debits);
        let closing_balance = std::mem::replace(&mut balance, opening_balance.clone());
        pieces.push(Piece {
            time,
            opening_balance,
            credits,
            debits,
            count,
            closing_balance,
        });
    }
    pieces.reverse();
    Ok(Some(PastBalances {
        opening_balance: balance,
        closing_balance,
        pieces,
    }))
}
