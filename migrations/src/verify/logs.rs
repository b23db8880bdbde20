//! Checks every trading log against its postings, and every posting against its log.

use super::cursor::Cursor;
use super::report::{Kind, Report};
use super::snapshot::{Horizon, Snapshot};
use sqlx::FromRow;
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};

const LOGS: &str = "
    SELECT l.id, l.timestamp, l.user_id, l.trading_id, l.transaction_id, l.postings,
           t.user_id AS trading_user_id, l.sub_account_id, s.user_id AS account_user_id,
           s.trading_id AS account_trading_id
    FROM trading_logs l
    LEFT JOIN tradings t ON t.id = l.trading_id
    LEFT JOIN sub_accounts s ON s.id = l.sub_account_id
    WHERE NOT coalesce(t.status = 'deleting' AND t.type <> 'real', false)
    ORDER BY l.id";

const POSTINGS: &str = "
    SELECT x.id, x.timestamp, x.trading_log_id, x.user_id, x.trading_id
    FROM transactions x
    WHERE NOT EXISTS (
        SELECT FROM tradings t WHERE t.id = x.trading_id AND t.status = 'deleting' AND t.type <> 'real'
    )
    ORDER BY x.trading_log_id, x.id";

#[derive(FromRow)]
struct StoredLog {
    id: Uuid,
    timestamp: DateTime<Utc>,
    user_id: Uuid,
    trading_id: Uuid,
    transaction_id: Option<Uuid>,
    postings: i16,
    trading_user_id: Option<Uuid>,
    sub_account_id: Option<Uuid>,
    account_user_id: Option<Uuid>,
    account_trading_id: Option<Uuid>,
}

#[derive(FromRow)]
struct Leg {
    id: Uuid,
    timestamp: DateTime<Utc>,
    trading_log_id: Uuid,
    user_id: Uuid,
    trading_id: Uuid,
}

pub(super) async fn check(snapshot: &mut Snapshot<'_>, report: &mut Report) -> sqlx::Result<()> {
    snapshot.progress.set_message("trading logs");
    let horizon = snapshot.horizon;
    let mut logs = Cursor::<StoredLog>::open(snapshot, "verify_logs", LOGS).await?;
    let mut postings = Cursor::<Leg>::open(snapshot, "verify_legs", POSTINGS).await?;

    while let Some(log) = logs.next(snapshot).await? {
        let is_before = |posting: &Leg| posting.trading_log_id < log.id;
        while let Some(posting) = postings.next_if(snapshot, is_before).await? {
            report_missing_log(&posting, &horizon, report);
        }

        let mut legs = Legs::default();
        let is_own = |posting: &Leg| posting.trading_log_id == log.id;
        while let Some(posting) = postings.next_if(snapshot, is_own).await? {
            check_owner(&log, &posting, report);
            legs.only = (legs.count == 0).then_some(posting.id);
            legs.count += 1;
        }

        report.trading_logs += 1;
        check_references(&log, report);
        // Retention of transactions may have dropped the postings of an older log.
        if log.timestamp >= horizon.transactions {
            check_postings(&log, &legs, report);
        }
    }

    while let Some(posting) = postings.next(snapshot).await? {
        report_missing_log(&posting, &horizon, report);
    }
    Ok(())
}

/// Reports a posting whose log is missing, unless retention may have dropped it: a log has its postings' timestamp.
fn report_missing_log(posting: &Leg, horizon: &Horizon, report: &mut Report) {
    if posting.timestamp >= horizon.trading_logs {
        let words = format_args!(
            "transaction {} names trading log {}",
            posting.id, posting.trading_log_id
        );
        report.add(Kind::MissingLog, words);
    }
}

/// The postings of a log in constant memory, because a broken log may have any number.
#[derive(Default)]
struct Legs {
    count: i64,
    /// The posting; `None` unless the count is one.
    only: Option<Uuid>,
}

fn check_owner(log: &StoredLog, posting: &Leg, report: &mut Report) {
    if posting.user_id != log.user_id || posting.trading_id != log.trading_id {
        let words = format_args!(
            "transaction {} and its trading log {} differ in user or trading",
            posting.id, log.id
        );
        report.add(Kind::ForeignRow, words);
    }
}

fn check_postings(log: &StoredLog, legs: &Legs, report: &mut Report) {
    let StoredLog { id, postings, .. } = log;

    if i64::from(*postings) != legs.count {
        let words = format_args!(
            "trading log {id} states {postings} postings and has {}",
            legs.count
        );
        report.add(Kind::PostingCount, words);
    } else if log.transaction_id != legs.only {
        let words = match log.transaction_id {
            Some(other) => format!("trading log {id} names transaction {other}"),
            None => format!("trading log {id} names no transaction"),
        };
        report.add(Kind::LogTransaction, format_args!("{words}"));
    }
}

fn check_references(log: &StoredLog, report: &mut Report) {
    let StoredLog { id, trading_id, .. } = log;

    if log.trading_user_id.is_none() {
        let words = format_args!("trading log {id} names trading {trading_id}");
        report.add(Kind::MissingRow, words);
    } else if log.trading_user_id != Some(log.user_id) {
        let words = format_args!("trading log {id} and its trading {trading_id} differ in user");
        report.add(Kind::ForeignRow, words);
    }

    let Some(account) = log.sub_account_id else {
        return;
    };
    let Some(owner) = log.account_user_id.zip(log.account_trading_id) else {
        let words = format_args!("trading log {id} names sub-account {account}");
        return report.add(Kind::MissingRow, words);
    };
    if owner != (log.user_id, *trading_id) {
        let words = format_args!(
            "trading log {id} and its sub-account {account} differ in user or trading"
        );
        report.add(Kind::ForeignRow, words);
    }
}
