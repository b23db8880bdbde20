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
use sqlx::{FromRow, PgConnection};

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

#[derive(FromRow)]
struct StoredAccount {
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

#[derive(FromRow)]
struct StoredPosting {
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
    let mut accounts =
        Cursor::<StoredAccount>::open(connection, "verify_accounts", ACCOUNTS).await?;
    let mut postings =
        Cursor::<StoredPosting>::open(connection, "verify_postings", POSTINGS).await?;

    while let Some(account) = accounts.next(connection, progress).await? {
        while let Some(posting) = postings
            .next_if(connection, progress, |p| p.sub_account_id < account.id)
            .await?
        {
            report_orphan(&posting, report);
        }

        let mut history = AccountHistory::new(&account, horizon);
        while let Some(posting) = postings
            .next_if(connection, progress, |p| p.sub_account_id == account.id)
            .await?
        {
            report.transactions += 1;
            history.follow(&posting, report);
        }
        history.end(report);
    }

    while let Some(posting) = postings.next(connection, progress).await? {
        report_orphan(&posting, report);
    }
    Ok(())
}

fn report_orphan(posting: &StoredPosting, report: &mut Report) {
    let StoredPosting {
        id, sub_account_id, ..
    } = posting;

    report.transactions += 1;
    let words = format_args!("transaction {id} names sub-account {sub_account_id}");
    report.add(Kind::MissingRow, words);
}

fn check_locked(account: &StoredAccount, report: &mut Report) {
    let StoredAccount {
        id,
        balance,
        locked,
        held,
        ..
    } = account;

    report.holds += account.holds.unsigned_abs();
    if locked.is_sign_negative() && !locked.is_zero() || locked > balance {
        let words = format_args!("sub-account {id}: locked {locked}, balance {balance}");
        report.add(Kind::LockedRange, words);
    }
    if !account.held_is_locked {
        let words = format_args!("sub-account {id}: locked {locked}, holds {held}");
        report.add(Kind::LockedHolds, words);
    }
}

/// One account's postings, replayed in the order of their sequence.
struct AccountHistory<'a> {
    account: &'a StoredAccount,
    /// What the last posting left; `None` when retention may have dropped the ones before.
    last: Option<After>,
}

/// An account after a posting.
struct After {
    balance: Decimal,
    sequence: i64,
}

impl<'a> AccountHistory<'a> {
    fn new(account: &'a StoredAccount, horizon: &Horizon) -> Self {
        let is_whole = account.created_at >= horizon.transactions;
        let nothing = After {
            balance: Decimal::ZERO,
            sequence: 0,
        };

        Self {
            account,
            last: is_whole.then_some(nothing),
        }
    }

    fn follow(&mut self, posting: &StoredPosting, report: &mut Report) {
        self.check_alone(posting, report);
        if let Some(last) = &self.last {
            self.check_after(last, posting, report);
        }

        self.last = Some(After {
            balance: posting.closing_balance,
            sequence: posting.sequence,
        });
    }

    fn check_alone(&self, posting: &StoredPosting, report: &mut Report) {
        let StoredAccount { id: account, .. } = self.account;
        let StoredPosting { id, amount, .. } = posting;

        if posting.user_id != self.account.user_id || posting.trading_id != self.account.trading_id
        {
            let words = format_args!(
                "transaction {id} and its sub-account {account} differ in user or trading"
            );
            report.add(Kind::ForeignRow, words);
        }

        // What a sale got is less its fee, which may be any part of the proceeds.
        if !posting.is_credit
            && let Some(fee) = posting.fee.filter(|fee| fee > amount)
        {
            let words = format_args!("transaction {id} of {amount} pays a fee of {fee}");
            report.add(Kind::Fee, words);
        }
    }

    fn check_after(&self, last: &After, posting: &StoredPosting, report: &mut Report) {
        let StoredAccount { id: account, .. } = self.account;
        let StoredPosting {
            id,
            amount,
            sequence,
            closing_balance,
            ..
        } = posting;

        if sequence.checked_sub(1) != Some(last.sequence) {
            let words = format_args!(
                "sub-account {account}: transaction {id} has {sequence} after {}",
                last.sequence
            );
            report.add(Kind::SequenceGap, words);
        }

        let (sign, expected) = match posting.is_credit {
            true => ('+', last.balance.checked_add(*amount)),
            false => ('-', last.balance.checked_sub(*amount)),
        };
        if expected != Some(*closing_balance) {
            let words = format_args!(
                "transaction {id} of sub-account {account}: {} {sign} {amount} is not {closing_balance}",
                last.balance
            );
            report.add(Kind::ClosingBalance, words);
        }
    }

    fn end(&self, report: &mut Report) {
        if self.account.being_purged {
            report.accounts_being_purged += 1;
        } else {
            report.accounts += 1;
            self.close(report);
            check_locked(self.account, report);
        }
    }

    fn close(&self, report: &mut Report) {
        let StoredAccount {
            id,
            balance,
            sequence,
            ..
        } = self.account;
        let Some(last) = &self.last else {
            return;
        };

        if *balance != last.balance {
            let words = format_args!(
                "sub-account {id}: balance {balance}, by its postings {}",
                last.balance
            );
            report.add(Kind::AccountBalance, words);
        }
        if *sequence != last.sequence {
            let words = format_args!(
                "sub-account {id}: sequence {sequence}, by its postings {}",
                last.sequence
            );
            report.add(Kind::AccountSequence, words);
        }
    }
}
