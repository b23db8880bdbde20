//! What a batch did, in events.

use tiris_store::ledger::Disposition;

/// What a batch did, in events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Applied, heartbeats among them.
    pub applied: u64,
    /// Processed before.
    pub duplicate: u64,
    /// Put aside as dead letters.
    pub dead: u64,
    /// Of those applied, sent by a bot that believed another balance, or released another amount, than the books hold.
    pub drift: u64,
}

impl Counts {
    /// Counts what became of the messages of a batch.
    #[must_use]
    pub fn of(dispositions: &[Disposition]) -> Self {
        let mut counts = Self::default();
        for disposition in dispositions {
            match disposition {
                Disposition::Applied(_) | Disposition::Recorded => counts.applied += 1,
                Disposition::Duplicate => counts.duplicate += 1,
                Disposition::DeadLetter(_) | Disposition::Deferred => counts.dead += 1,
            }
            counts.drift += u64::from(disposition.has_drift());
        }
        counts
    }
}
