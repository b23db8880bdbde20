//! Checks every sub-account against its postings and its holds.

use super::cursor::Cursor;
use super::report::{Kind, Report};
use super::snapshot::{Horizon, Snapshot};
use bigdecimal::Signed;
use sqlx::FromRow;
use sqlx::types::BigDecimal;
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};

/// PostgreSQL compares with the holds, because their sum may exceed the range of a column.
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
    balance: BigDecimal,
    locked: BigDecimal,
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
    amount: BigDecimal,
    closing_balance: BigDecimal,
    sequence: i64,
    fee: Option<BigDecimal>,
}

pub(super) async fn check(snapshot: &mut Snapshot<'_>, report: &mut Report) -> sqlx::Result<()> {
    snapshot.progress.set_message("sub-accounts");
    let horizon = snapshot.horizon;
    let mut accounts = Cursor::<StoredAccount>::open(snapshot, "verify_accounts", ACCOUNTS).await?;
    let mut postings = Cursor::<StoredPosting>::open(snapshot, "verify_postings", POSTINGS).await?;

    while let Some(account) = accounts.next(snapshot).await? {
        let is_before = |posting: &StoredPosting| posting.sub_account_id < account.id;
        while let Some(posting) = postings.next_if(snapshot, is_before).await? {
            report_orphan(&posting, report);
        }

        let mut history = AccountHistory::new(&account, &horizon);
        let is_own = |posting: &StoredPosting| posting.sub_account_id == account.id;
        while let Some(posting) = postings.next_if(snapshot, is_own).await? {
            report.transactions += 1;
            history.push(&posting, report);
        }
        history.end(report);
    }

    while let Some(posting) = postings.next(snapshot).await? {
        report_orphan(&posting, report);
    }
    Ok(())
}

fn report_orphan(posting: &StoredPosting, report: &mut Report) {
    report.transactions += 1;
    let words = format_args!(
        "transaction {} names sub-account {}",
        posting.id, posting.sub_account_id
    );
    report.add(Kind::MissingRow, words);
}

fn check_locked(account: &StoredAccount, report: &mut Report) {
    let id = account.id;
    let locked = &account.locked;
    let balance = &account.balance;

    report.holds += account.holds.unsigned_abs();
    if locked.is_negative() || locked > balance {
        let words = format_args!("sub-account {id}: locked {locked}, balance {balance}");
        report.add(Kind::LockedRange, words);
    }
    if !account.held_is_locked {
        let words = format_args!("sub-account {id}: locked {locked}, holds {}", account.held);
        report.add(Kind::LockedHolds, words);
    }
}

/// The postings of one account, replayed in the order of their sequence.
struct AccountHistory<'a> {
    account: &'a StoredAccount,
    /// The state after the last posting; `None` if retention may have dropped earlier postings.
    last: Option<After>,
}

/// The state of an account after a posting.
#[derive(Default)]
struct After {
    balance: BigDecimal,
    sequence: i64,
}

impl<'a> AccountHistory<'a> {
    fn new(account: &'a StoredAccount, horizon: &Horizon) -> Self {
        let is_complete = account.created_at >= horizon.transactions;

        Self {
            account,
            last: is_complete.then(After::default),
        }
    }

    fn push(&mut self, posting: &StoredPosting, report: &mut Report) {
        self.check_posting(posting, report);
        if let Some(last) = &self.last {
            self.check_order(last, posting, report);
        }

        self.last = Some(After {
            balance: posting.closing_balance.clone(),
            sequence: posting.sequence,
        });
    }

    fn check_posting(&self, posting: &StoredPosting, report: &mut Report) {
        let StoredAccount { id: account, .. } = self.account;
        let StoredPosting { id, amount, .. } = posting;

        if posting.user_id != self.account.user_id || posting.trading_id != self.account.trading_id
        {
            let words = format_args!(
                "transaction {id} and its sub-account {account} differ in user or trading"
            );
            report.add(Kind::ForeignRow, words);
        }

        // The fee of a sale is already deducted from its proceeds, and may exceed the rest.
        if !posting.is_credit
            && let Some(fee) = posting.fee.as_ref().filter(|fee| *fee > amount)
        {
            let words = format_args!("transaction {id} of {amount} pays a fee of {fee}");
            report.add(Kind::Fee, words);
        }
    }

    /// Checks that a posting follows from the state before it.
    fn check_order(&self, last: &After, posting: &StoredPosting, report: &mut Report) {
        let StoredAccount { id: account, .. } = self.account;
        let StoredPosting { id, amount, .. } = posting;

        if posting.sequence.checked_sub(1) != Some(last.sequence) {
            let words = format_args!(
                "sub-account {account}: transaction {id} has {} after {}",
                posting.sequence, last.sequence
            );
            report.add(Kind::SequenceGap, words);
        }

        let (sign, expected) = match posting.is_credit {
            true => ('+', &last.balance + amount),
            false => ('-', &last.balance - amount),
        };
        if expected != posting.closing_balance {
            let words = format_args!(
                "transaction {id} of sub-account {account}: {} {sign} {amount} is not {}",
                last.balance, posting.closing_balance
            );
            report.add(Kind::ClosingBalance, words);
        }
    }

    fn end(&self, report: &mut Report) {
        if self.account.being_purged {
            report.accounts_being_purged += 1;
            return;
        }

        report.accounts += 1;
        if let Some(last) = &self.last {
            self.check_end(last, report);
        }
        check_locked(self.account, report);
    }

    /// Checks that the account is in the state after its last posting.
    fn check_end(&self, last: &After, report: &mut Report) {
        let id = self.account.id;
        let balance = &self.account.balance;
        let sequence = self.account.sequence;

        if *balance != last.balance {
            let words = format_args!(
                "sub-account {id}: balance {balance}, by its postings {}",
                last.balance
            );
            report.add(Kind::AccountBalance, words);
        }
        if sequence != last.sequence {
            let words = format_args!(
                "sub-account {id}: sequence {sequence}, by its postings {}",
                last.sequence
            );
            report.add(Kind::AccountSequence, words);
        }
    }
}
