//! What a check found.
//!
//! Owns: the kinds of violations, counts of all of them and examples of some. Must not know: where they come from.

use std::collections::BTreeMap;
use std::fmt;

/// Violations of one kind that are kept with their words; the rest is only counted.
const EXAMPLES_PER_KIND: usize = 20;

/// What can be wrong with the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An account's postings are not numbered 1, 2, 3 ...
    SequenceGap,
    /// A closing balance is not the one before plus or minus the amount.
    ClosingBalance,
    /// A fee is more than the posting that pays it.
    Fee,
    /// An account's balance is not the closing balance of its last posting.
    AccountBalance,
    /// An account's sequence is not the one of its last posting.
    AccountSequence,
    /// An account's locked amount is negative or above its balance, or its balance is negative.
    LockedRange,
    /// An account's locked amount is not the sum of its holds.
    LockedHolds,
    /// A trading log does not have as many postings as it says.
    PostingCount,
    /// A trading log's `transaction_id` is not its only posting.
    LogTransaction,
    /// A posting's trading log is missing.
    MissingLog,
    /// A row refers to one that is not there.
    MissingRow,
    /// A row refers to one of another user or another trading.
    ForeignRow,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SequenceGap => "gap in an account's sequence",
            Self::ClosingBalance => "closing balance does not follow from the one before",
            Self::Fee => "fee is more than the posting that pays it",
            Self::AccountBalance => "balance is not the last closing balance",
            Self::AccountSequence => "sequence is not the last posting's",
            Self::LockedRange => "locked is not between zero and the balance",
            Self::LockedHolds => "locked is not the sum of the holds",
            Self::PostingCount => "trading log without all its postings",
            Self::LogTransaction => "trading log names another transaction than its own",
            Self::MissingLog => "posting without its trading log",
            Self::MissingRow => "reference to a row that is not there",
            Self::ForeignRow => "reference to a row of another user or trading",
        })
    }
}

/// How often one kind was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub count: u64,
    /// The first ones in words, naming their rows.
    pub examples: Vec<String>,
}

/// What was looked at and what was found.
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
    /// What is wrong, by kind.
    pub violations: BTreeMap<Kind, Tally>,
}

impl Report {
    /// Whether every invariant holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// All violations together.
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
