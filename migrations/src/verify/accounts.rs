//! Every sub-account against its postings and its holds.
//!
//! Owns: replaying an account's history. Must not know: trading logs.

use super::cursor::Cursor;
use super::horizon::Horizon;
use super::report::{Kind, Report};
use indicatif::ProgressBar;
use rust_decimal::Decimal;
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};

/// The comparison with the holds is PostgreSQL's, because their sum may be wider than a `Decimal`.
const ACCOUNTS: &str = "
    SELECT s.id, s.user_id, s.trading_id, s.balance, s.locked, s.sequence, s.created_at,
           coalesce(t.status = 'deleting' AND t.type <> 'real', false) AS being_purged,
           coalesce(h.total, 0)::text AS held, coalesce(h.total, 0) = s.locked AS held_is_locked,
           coalesce(h.holds, 0) AS holds
    FROM sub_accounts s
    LEFT JOIN tradings t ON t.id = s.trading_id
    LEFT JOIN (SELECT sub_account_id, sum(amount) AS total, count(*) AS holds FROM holds GROUP BY sub_account_id) h
        ON h.sub_account_id = s.id
    ORDER BY s.id";

const POSTINGS: &str = "
    SELECT x.id, x.sub_account_id, x.user_id, x.trading_id, x.direction = 'credit' AS is_credit, x.amount,
           x.closing_balance, x.sequence, x.fee
    FROM transactions x
    WHERE NOT EXISTS (
        SELECT FROM tradings t WHERE t.id = x.trading_id AND t.status = 'deleting' AND t.type <> 'real'
    )
    ORDER BY x.sub_account_id, x.sequence, x.timestamp, x.id";

struct Account {
    id: Uuid,
    user_id: Uuid,
    trading_id: Uuid,
    balance: Decimal,
    locked: Decimal,
    sequence: i64,
    created_at: DateTime<Utc>,
    being_purged: bool,
    held: String,
    held_is_locked: bool,
    holds: i64,
}

struct Posting {
    id: Uuid,
    sub_account_id: Uuid,
    user_id: Uuid,
    trading_id: Uuid,
    is_credit: bool,
    amount: Decimal,
    closing_balance: Decimal,
    sequence: i64,
    fee: Option<Decimal>,
}

pub(super) async fn check(
    connection: &mut PgConnection,
    horizon: &Horizon,
    progress: &ProgressBar,
    report: &mut Report,
) -> sqlx::Result<()> {
    progress.set_message("sub-accounts");
    let mut accounts = Cursor::<Account>::open(connection, "verify_accounts", ACCOUNTS).await?;
    let mut postings = Cursor::<Posting>::open(connection, "verify_postings", POSTINGS).await?;
    while let Some(account) = accounts.next(connection, progress).await? {
        while let Some(posting) = postings
            .next_if(connection, progress, |p| p.sub_account_id < account.id)
            .await?
        {
            report_orphan(&posting, report);
        }
        let mut history = History::new(&account, horizon);
        while let Some(posting) = postings
            .next_if(connection, progress, |p| p.sub_account_id == account.id)
            .await?
        {
            report.transactions += 1;
            history.follow(&posting, report);
        }
        if account.being_purged {
            report.accounts_being_purged += 1;
        } else {
            report.accounts += 1;
            history.close(report);
            check_locked(&account, report);
        }
    }
    while let Some(posting) = postings.next(connection, progress).await? {
        report_orphan(&posting, report);
    }
    Ok(())
}

fn report_orphan(posting: &Posting, report: &mut Report) {
    report.transactions += 1;
    let (id, account) = (posting.id, posting.sub_account_id);
    report.add(
        Kind::MissingRow,
        format_args!("transaction {id} names sub-account {account}"),
    );
}

fn check_locked(account: &Account, report: &mut Report) {
    let Account {
        id,
        balance,
        locked,
        held,
        ..
    } = account;
    report.holds += account.holds.unsigned_abs();
    if locked.is_sign_negative() && !locked.is_zero() || locked > balance {
        report.add(
            Kind::LockedRange,
            format_args!("sub-account {id}: locked {locked}, balance {balance}"),
        );
    }
    if !account.held_is_locked {
        report.add(
            Kind::LockedHolds,
            format_args!("sub-account {id}: locked {locked}, holds {held}"),
        );
    }
}

/// One account's postings, replayed in the order of their sequence.
struct History<'a> {
    account: &'a Account,
    /// Balance and sequence after the last posting; `None` when retention may have dropped the ones before.
    last: Option<(Decimal, i64)>,
}

impl<'a> History<'a> {
    fn new(account: &'a Account, horizon: &Horizon) -> Self {
        let is_whole = account.created_at >= horizon.transactions;
        Self {
            account,
            last: is_whole.then_some((Decimal::ZERO, 0)),
        }
    }

    fn follow(&mut self, posting: &Posting, report: &mut Report) {
        let (account, id, sequence) = (self.account, posting.id, posting.sequence);
        if (posting.user_id, posting.trading_id) != (account.user_id, account.trading_id) {
            report.add(
                Kind::ForeignRow,
                format_args!(
                    "transaction {id} and its sub-account {} differ in user or trading",
                    account.id
                ),
            );
        }
        // What a sale got is less its fee, which may be any part of the proceeds.
        if let Some(fee) = posting
            .fee
            .filter(|fee| !posting.is_credit && *fee > posting.amount)
        {
            report.add(
                Kind::Fee,
                format_args!("transaction {id} of {} pays a fee of {fee}", posting.amount),
            );
        }
        if let Some((balance, last_sequence)) = self.last {
            if sequence.checked_sub(1) != Some(last_sequence) {
                report.add(
                    Kind::SequenceGap,
                    format_args!(
                        "sub-account {}: transaction {id} has {sequence} after {last_sequence}",
                        account.id
                    ),
                );
            }
            let (amount, closing) = (posting.amount, posting.closing_balance);
            let (sign, expected) = match posting.is_credit {
                true => ('+', balance.checked_add(amount)),
                false => ('-', balance.checked_sub(amount)),
            };
            if expected != Some(closing) {
                report.add(
                    Kind::ClosingBalance,
                    format_args!(
                        "transaction {id} of sub-account {}: {balance} {sign} {amount} is not {closing}",
                        account.id
                    ),
                );
            }
        }
        self.last = Some((posting.closing_balance, sequence));
    }

    fn close(&self, report: &mut Report) {
        let Account {
            id,
            balance,
            sequence,
            ..
        } = self.account;
        let Some((last_balance, last_sequence)) = self.last else {
            return;
        };
        if *balance != last_balance {
            report.add(
                Kind::AccountBalance,
                format_args!("sub-account {id}: balance {balance}, by its postings {last_balance}"),
            );
        }
        if *sequence != last_sequence {
            report.add(
                Kind::AccountSequence,
                format_args!(
                    "sub-account {id}: sequence {sequence}, by its postings {last_sequence}"
                ),
            );
        }
    }
}

impl FromRow<'_, PgRow> for Account {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            trading_id: row.try_get("trading_id")?,
            balance: row.try_get("balance")?,
            locked: row.try_get("locked")?,
            sequence: row.try_get("sequence")?,
            created_at: row.try_get("created_at")?,
            being_purged: row.try_get("being_purged")?,
            held: row.try_get("held")?,
            held_is_locked: row.try_get("held_is_locked")?,
            holds: row.try_get("holds")?,
        })
    }
}

impl FromRow<'_, PgRow> for Posting {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            sub_account_id: row.try_get("sub_account_id")?,
            user_id: row.try_get("user_id")?,
            trading_id: row.try_get("trading_id")?,
            is_credit: row.try_get("is_credit")?,
            amount: row.try_get("amount")?,
            closing_balance: row.try_get("closing_balance")?,
            sequence: row.try_get("sequence")?,
            fee: row.try_get("fee")?,
        })
    }
}
