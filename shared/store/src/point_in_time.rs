//! Past balances of accounts, by the time of booking or by the time of the event.
//!
//! By the time of booking, a balance is the closing balance of the last posting; before the first stored posting, it is the
//! balance that one began with. By the time of the event, it is the current balance less all later postings. Each result
//! comes from one statement, so that balance and postings are consistent.

use crate::column::number;
use crate::error::Result;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgExecutor;
use tiris_domain::ids::AccountId;
use tiris_domain::money::Number;

/// The time by which postings are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Time of booking: `timestamp`.
    Recorded,
    /// Time of the event, by the caller's clock: `event_time`.
    Event,
}

/// A period of an account's history with postings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Start of the period.
    pub time: DateTime<Utc>,
    /// Balance at the start.
    pub opening_balance: Number,
    /// Sum of the credits.
    pub credits: Number,
    /// Sum of the debits.
    pub debits: Number,
    /// Number of postings.
    pub count: i64,
    /// Balance at the end.
    pub closing_balance: Number,
}

/// The history of an account within a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastBalances {
    /// Balance at the start of the range.
    pub opening_balance: Number,
    /// Balance at the end of the range.
    pub closing_balance: Number,
    /// The periods with postings, oldest first.
    pub pieces: Vec<Piece>,
}

/// The balance of account $1 just before $2, by the time of booking.
macro_rules! balance_recorded {
    () => {
        "coalesce( \
         (SELECT closing_balance FROM transactions WHERE sub_account_id = a.id AND timestamp < $2 \
          ORDER BY timestamp DESC, sequence DESC LIMIT 1), \
         (SELECT closing_balance - CASE direction WHEN 'credit' THEN amount ELSE -amount END FROM transactions \
          WHERE sub_account_id = a.id AND timestamp >= $2 ORDER BY timestamp, sequence LIMIT 1), \
         a.balance)::text AS balance FROM sub_accounts a WHERE a.id = $1"
    };
}

/// The same, by the time of the event.
macro_rules! balance_event {
    () => {
        "(a.balance - coalesce( \
         (SELECT sum(CASE direction WHEN 'credit' THEN amount ELSE -amount END) FROM transactions \
          WHERE sub_account_id = a.id AND event_time >= $2), 0))::text AS balance FROM sub_accounts a WHERE a.id = $1"
    };
}

/// The balance just before $2, and the periods from $3 to $2 (exclusive), each $4 long, which the database may have
/// aggregated already. Has a row at least where the account exists, so that the balance comes with the periods.
const HISTORY_RECORDED: &str = concat!(
    "SELECT b.balance, p.time, p.credits, p.debits, p.count FROM (SELECT ",
    balance_recorded!(),
    ") b LEFT JOIN ( \
         SELECT bucket AS time, credits::text AS credits, debits::text AS debits, postings AS count \
         FROM account_history($1, $3, $2, $4)) p ON true ORDER BY p.time DESC"
);

/// The same, by the time of the event.
const HISTORY_EVENT: &str = concat!(
    "SELECT b.balance, p.time, p.credits, p.debits, p.count FROM (SELECT ",
    balance_event!(),
    ") b LEFT JOIN ( \
         SELECT date_trunc($4, event_time, 'UTC') AS time, \
             coalesce(sum(amount) FILTER (WHERE direction = 'credit'), 0)::text AS credits, \
             coalesce(sum(amount) FILTER (WHERE direction = 'debit'), 0)::text AS debits, count(*) AS count \
         FROM transactions WHERE sub_account_id = $1 AND event_time >= $3 AND event_time < $2 GROUP BY 1 \
     ) p ON true ORDER BY p.time DESC"
);

/// Returns the balance of an account at a moment, including postings of that moment; `None` when there is no such account.
pub async fn balance(
    executor: impl PgExecutor<'_>,
    account: AccountId,
    at: DateTime<Utc>,
    clock: Clock,
) -> Result<Option<Number>> {
    let statement = match clock {
        Clock::Recorded => concat!("SELECT ", balance_recorded!()),
        Clock::Event => concat!("SELECT ", balance_event!()),
    };

    let balance: Option<String> = sqlx::query_scalar(statement)
        .bind(account.0)
        // Times are stored to the microsecond.
        .bind(at + TimeDelta::microseconds(1))
        .fetch_optional(executor)
        .await?;
    balance.as_deref().map(number).transpose()
}

/// Returns the time of the last posting of an account.
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

/// The balance at the end, and a period, if there is one.
#[derive(sqlx::FromRow)]
struct HistoryRow {
    balance: String,
    time: Option<DateTime<Utc>>,
    credits: Option<String>,
    debits: Option<String>,
    count: Option<i64>,
}

/// Returns the history of an account from a moment until another (exclusive) in periods of a `unit` of PostgreSQL, in UTC,
/// at whose bounds both moments must be; `None` when there is no such account.
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

/// Goes from the newest period to the oldest: each begins with the balance at its end, less its own changes.
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
