//! The violations that the checks find: their kinds, counts and examples.

use std::collections::BTreeMap;
use std::fmt;

/// Maximum number of examples of one kind; further violations are only counted.
const EXAMPLES_PER_KIND: usize = 20;

/// The kind of a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Kind {
    /// An account's postings are not numbered 1, 2, 3 ...
    #[error("gap in an account's sequence")]
    SequenceGap,
    /// A closing balance is not the one before plus or minus the amount.
    #[error("closing balance does not follow from the one before")]
    ClosingBalance,
    /// A fee is more than the posting that pays it.
    #[error("fee is more than the posting that pays it")]
    Fee,
    /// An account's balance is not the closing balance of its last posting.
    #[error("balance is not the last closing balance")]
    AccountBalance,
    /// An account's sequence is not that of its last posting.
    #[error("sequence is not that of the last posting")]
    AccountSequence,
    /// An account's locked amount is negative or above its balance, or its balance is negative.
    #[error("locked is not between zero and the balance")]
    LockedRange,
    /// An account's locked amount is not the sum of its holds.
    #[error("locked is not the sum of the holds")]
    LockedHolds,
    /// An order's status, fills and filled amount contradict each other.
    #[error("order whose columns contradict each other")]
    OrderState,
    /// A hold belongs to an order that has ended.
    #[error("hold of an order that has ended")]
    OrderHold,
    /// An order's filled amount is not the sum of its postings.
    #[error("filled amount is not the sum of the postings")]
    OrderFilled,
    /// A trading log does not have the number of postings that it states.
    #[error("trading log without all its postings")]
    PostingCount,
    /// A trading log's `transaction_id` is not its only posting.
    #[error("trading log names a transaction that is not its own")]
    LogTransaction,
    /// A posting's trading log is missing.
    #[error("posting without its trading log")]
    MissingLog,
    /// A row refers to a missing row.
    #[error("reference to a missing row")]
    MissingRow,
    /// A row refers to a row of another user or trading.
    #[error("reference to a row of another user or trading")]
    ForeignRow,
}

/// The violations of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The number of violations.
    pub count: u64,
    /// Descriptions of the first violations, with the ids of their rows.
    pub examples: Vec<String>,
}

/// The number of checked rows, and the violations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Sub-accounts checked.
    pub accounts: u64,
    /// Sub-accounts left out because their trading is being purged.
    pub accounts_being_purged: u64,
    /// Transactions checked.
    pub transactions: u64,
    /// Trading logs checked.
    pub trading_logs: u64,
    /// Holds checked.
    pub holds: u64,
    /// Orders checked.
    pub orders: u64,
    /// The violations by kind.
    pub violations: BTreeMap<Kind, Tally>,
}

impl Report {
    /// Returns whether every invariant holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Returns the number of all violations.
    #[must_use]
    pub fn violation_count(&self) -> u64 {
        self.violations.values().map(|tally| tally.count).sum()
    }

    pub(super) fn add(&mut self, kind: Kind, words: fmt::Arguments<'_>) {
        let tally = self.violations.entry(kind).or_default();
        tally.count += 1;
        if tally.examples.len() < EXAMPLES_PER_KIND {
            tally.examples.push(words.to_string());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in [
            ("sub-accounts", self.accounts),
            ("transactions", self.transactions),
            ("trading logs", self.trading_logs),
            ("holds", self.holds),
            ("orders", self.orders),
        ] {
            writeln!(f, "{what:<14}{count:>14}")?;
        }

        if self.accounts_being_purged > 0 {
            writeln!(
                f,
                "left out: {} sub-accounts that are being purged",
                self.accounts_being_purged
            )?;
        }

        writeln!(f, "{:<14}{:>14}", "violations", self.violation_count())?;
        for (kind, tally) in &self.violations {
            writeln!(f, "\n{kind}: {}", tally.count)?;
            for example in &tally.examples {
                writeln!(f, "  {example}")?;
            }
            let more = tally.count.saturating_sub(tally.examples.len() as u64);
            if more > 0 {
                writeln!(f, "  ... and {more} more")?;
            }
        }
        Ok(())
    }
}
