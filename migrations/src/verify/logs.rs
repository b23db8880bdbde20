//! Every trading log against the postings it made, and every posting against its log.
//!
//! Owns: that the legs of a trade exist together or not at all. Must not know: balances.

use super::cursor::Cursor;
use super::horizon::Horizon;
use super::report::{Kind, Report};
use indicatif::ProgressBar;
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};

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

struct Log {
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

struct Posting {
    id: Uuid,
    timestamp: DateTime<Utc>,
    trading_log_id: Uuid,
    user_id: Uuid,
    trading_id: Uuid,
}

pub(super) async fn check(
    connection: &mut PgConnection,
    horizon: &Horizon,
    progress: &ProgressBar,
    report: &mut Report,
) -> sqlx::Result<()> {
    progress.set_message("trading logs");
    let mut logs = Cursor::<Log>::open(connection, "verify_logs", LOGS).await?;
    let mut postings = Cursor::<Posting>::open(connection, "verify_legs", POSTINGS).await?;
    while let Some(log) = logs.next(connection, progress).await? {
        while let Some(posting) = postings
            .next_if(connection, progress, |p| p.trading_log_id < log.id)
            .await?
        {
            report_missing_log(&posting, horizon, report);
        }
        let mut found = 0i64;
        let mut only_posting = None;
        while let Some(posting) = postings
            .next_if(connection, progress, |p| p.trading_log_id == log.id)
            .await?
        {
            only_posting = (found == 0).then_some(posting.id);
            found += 1;
            if (posting.user_id, posting.trading_id) != (log.user_id, log.trading_id) {
                let words = format_args!(
                    "transaction {} and its trading log {} differ in user or trading",
                    posting.id, log.id
                );
                report.add(Kind::ForeignRow, words);
            }
        }
        report.trading_logs += 1;
        check_references(&log, report);
        // Retention of transactions may have taken the postings of an older log.
        if log.timestamp >= horizon.transactions {
            check_postings(&log, found, only_posting, report);
        }
    }
    while let Some(posting) = postings.next(connection, progress).await? {
        report_missing_log(&posting, horizon, report);
    }
    Ok(())
}

/// A log older than the oldest partition went with retention; a posting has its log's timestamp.
fn report_missing_log(posting: &Posting, horizon: &Horizon, report: &mut Report) {
    if posting.timestamp >= horizon.trading_logs {
        let words = format_args!(
            "transaction {} names trading log {}",
            posting.id, posting.trading_log_id
        );
        report.add(Kind::MissingLog, words);
    }
}

fn check_postings(log: &Log, found: i64, only_posting: Option<Uuid>, report: &mut Report) {
    let Log { id, postings, .. } = log;
    if i64::from(*postings) != found {
        report.add(
            Kind::PostingCount,
            format_args!("trading log {id} says {postings} postings, there are {found}"),
        );
    } else if log.transaction_id != only_posting {
        let words = match log.transaction_id {
            Some(other) => format!("trading log {id} names transaction {other}"),
            None => format!("trading log {id} names no transaction"),
        };
        report.add(Kind::LogTransaction, format_args!("{words}"));
    }
}

fn check_references(log: &Log, report: &mut Report) {
    let Log { id, trading_id, .. } = log;
    match log.trading_user_id {
        None => report.add(
            Kind::MissingRow,
            format_args!("trading log {id} names trading {trading_id}"),
        ),
        Some(user) if user != log.user_id => {
            report.add(
                Kind::ForeignRow,
                format_args!("trading log {id} and its trading {trading_id} differ in user"),
            );
        }
        Some(_) => {}
    }
    let Some(account) = log.sub_account_id else {
        return;
    };
    match (log.account_user_id, log.account_trading_id) {
        (Some(user), Some(trading)) if (user, trading) != (log.user_id, *trading_id) => report.add(
            Kind::ForeignRow,
            format_args!(
                "trading log {id} and its sub-account {account} differ in user or trading"
            ),
        ),
        (Some(_), Some(_)) => {}
        _ => report.add(
            Kind::MissingRow,
            format_args!("trading log {id} names sub-account {account}"),
        ),
    }
}

impl FromRow<'_, PgRow> for Log {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            timestamp: row.try_get("timestamp")?,
            user_id: row.try_get("user_id")?,
            trading_id: row.try_get("trading_id")?,
            transaction_id: row.try_get("transaction_id")?,
            postings: row.try_get("postings")?,
            trading_user_id: row.try_get("trading_user_id")?,
            sub_account_id: row.try_get("sub_account_id")?,
            account_user_id: row.try_get("account_user_id")?,
            account_trading_id: row.try_get("account_trading_id")?,
        })
    }
}

impl FromRow<'_, PgRow> for Posting {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            timestamp: row.try_get("timestamp")?,
            trading_log_id: row.try_get("trading_log_id")?,
            user_id: row.try_get("user_id")?,
            trading_id: row.try_get("trading_id")?,
        })
    }
}
