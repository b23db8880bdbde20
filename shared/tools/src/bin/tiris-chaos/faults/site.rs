//! What a fault works with.

use super::deck::Fault;
use crate::system::System;
use crate::system::worker::Held;
use crate::tally::Tally;
use std::sync::Arc;
use std::time::Instant;
use tiris_testing::View;

/// What a fault works with.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) system: Arc<System>,
    pub(super) tally: Arc<Tally>,
    pub(super) view: View,
    pub(super) begun: Instant,
}

impl Site {
    /// The wanted worker, or another one nobody is busy with.
    pub(super) fn worker(&self, fault: &Fault) -> Option<Held> {
        let workers = &self.system.workers;
        (0..workers.len()).find_map(|next| workers[(fault.slot + next) % workers.len()].try_hold())
    }

    pub(super) fn note(&self, name: &str, what: &str) {
        self.tally.count(name);
        self.view
            .detail(&format!("{:>7.1?} {name}: {what}", self.begun.elapsed()));
    }

    pub(super) fn wrong(&self, what: &str) {
        self.tally.wrong(what, self.begun, &self.view);
    }
}
