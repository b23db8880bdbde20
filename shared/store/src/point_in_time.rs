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

/// The balance of account $1 just before $2, by the time of booking.
const BALANCE_RECORDED: &str = "SELECT coalesce( \
         (SELECT closing_balance FROM transactions WHERE sub_account_id = a.id AND timestamp < $2 \
          ORDER BY timestamp DESC, sequence DESC LIMIT 1), \
         (SELECT closing_balance - CASE direction WHEN 'credit' THEN amount ELSE -amount END FROM transactions \
          WHERE sub_account_id = a.id AND timestamp >= $2 ORDER BY timestamp, sequence LIMIT 1), \
         a.balance)::text AS balance FROM sub_accounts a WHERE a.id = $1";

/// The same, by the time of happening.
const BALANCE_EVENT: &str = "SELECT (a.balance - coalesce( \
         (SELECT sum(CASE direction WHEN 'credit' THEN amount ELSE -amount END) FROM transactions \
          WHERE sub_account_id = a.id AND event_time >= $2), 0))::text AS balance FROM sub_accounts a WHERE a.id = $1";

/// The balance as [`BALANCE_RECORDED`] has it, and the pieces from $3 to $2 (exclusive), each $4 long, which the database
/// may have added up already. One row at least where there is the account, so that its balance comes with the pieces.
const HISTORY_RECORDED: &str = "SELECT b.balance, p.time, p.credits, p.debits, p.count FROM ( \
         SELECT coalesce( \
             (SELECT closing_balance FROM transactions WHERE sub_account_id = a.id AND timestamp < $2 \
              ORDER BY timestamp DESC, sequence DESC LIMIT 1), \
             (SELECT closing_balance - CASE direction WHEN 'credit' THEN amount ELSE -amount END FROM transactions \
              WHERE sub_account_id = a.id AND timestamp >= $2 ORDER BY timestamp, sequence LIMIT 1), \
             a.balance)::text AS balance FROM sub_accounts a WHERE a.id = $1) b \
     LEFT JOIN ( \
         SELECT bucket AS time, credits::text AS credits, debits::text AS debits, postings AS count \
         FROM account_history($1, $3, $2, $4)) p ON true ORDER BY p.time DESC";

/// The same, by the time of happening.
const HISTORY_EVENT: &str = "SELECT b.balance, p.time, p.credits, p.debits, p.count FROM ( \
         SELECT (a.balance - coalesce( \
             (SELECT sum(CASE direction WHEN 'credit' THEN amount ELSE -amount END) FROM transactions \
              WHERE sub_account_id = a.id AND event_time >= $2), 0))::text AS balance \
         FROM sub_accounts a WHERE a.id = $1) b \
     LEFT JOIN ( \
         SELECT date_trunc($4, event_time, 'UTC') AS time, \
             coalesce(sum(amount) FILTER (WHERE direction = 'credit'), 0)::text AS credits, \
             coalesce(sum(amount) FILTER (WHERE direction = 'debit'), 0)::text AS debits, count(*) AS count \
         FROM transactions WHERE sub_account_id = $1 AND event_time >= $3 AND event_time < $2 GROUP BY 1 \
     ) p ON true ORDER BY p.time DESC";

/// The balance of an account at a moment, all of that moment included; `None` when there is no such account.
pub async fn balance(
    executor: impl PgExecutor<'_>,
    account: AccountId,
    at: DateTime<Utc>,
    clock: Clock,
) -> Result<Option<Number>> {
    let statement = match clock {
        Clock::Recorded => BALANCE_RECORDED,
        Clock::Event => BALANCE_EVENT,
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

/// The balance at the end, and a piece, if there is any.
#[derive(sqlx::FromRow)]
struct HistoryRow {
    balance: String,
    time: Option<DateTime<Utc>>,
    credits: Option<String>,
    debits: Option<String>,
    count: Option<i64>,
}

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
        Clock::Recorded => HISTORY_RECORDED,
        Clock::Event => HISTORY_EVENT,
    };

    let rows: Vec<HistoryRow> = sqlx::query_as(statement)
        .bind(account.0)
        .bind(to)
        .bind(from)
        .bind(unit)
        .fetch_all(executor)
        .await?;

    let last = rows.first().map(|row| number(&row.balance)).transpose()?;
    last.map(|closing_balance| past_balances(closing_balance, rows))
        .transpose()
}

/// From the newest piece to the oldest: each begins with what it ends with, less its own changes.
fn past_balances(closing_balance: Number, rows: Vec<HistoryRow>) -> Result<PastBalances> {
    let mut balance = closing_balance.clone();
    let mut pieces = Vec::new();

    for row in rows {
        let (Some(time), Some(credits), Some(debits), Some(count)) =
            (row.time, row.credits, row.debits, row.count)
        else {
            continue;
        };
        let credits = number(&credits)?;
        let debits = number(&debits)?;
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

    Ok(PastBalances {
        opening_balance: balance,
        closing_balance,
        pieces,
    })
}
