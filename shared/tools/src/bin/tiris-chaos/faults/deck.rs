//! Which fault comes next.
//!
//! Owns: the kinds, how often each is drawn, and that all of them come. Must not know: how a fault is done, or when.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::time::Duration;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// SIGKILL, and a new process.
    KillWorker,
    /// SIGSTOP for longer than the lease.
    StopWorker,
    /// SIGSTOP between the lock of the lane's row and the commit.
    StopInTransaction,
    /// SIGTERM, and a new process.
    RestartWorker,
    /// Immediate stop, and start.
    StopPostgres,
    /// SIGKILL, and start.
    KillNats,
    /// All TCP connections of a worker to PostgreSQL.
    CutPostgres,
    /// All TCP connections of a worker to NATS.
    CutNats,
    /// What NATS sends a worker is lost for a while, then the connection.
    SwallowDeliveries,
    /// What PostgreSQL answers a worker is lost for a while, then the connections.
    SwallowAnswers,
    /// What PostgreSQL answers to a COMMIT is lost, then the connections: the worker cannot know what became of it.
    SwallowCommit,
    /// Nothing passes between a worker and PostgreSQL for a while.
    StallPostgres,
}

/// How often each is drawn, in relation to the others.
const WEIGHTS: [(Kind, u32); 12] = [
    (Kind::KillWorker, 5),
    (Kind::StopWorker, 3),
    (Kind::StopInTransaction, 4),
    (Kind::RestartWorker, 2),
    (Kind::StopPostgres, 2),
    (Kind::KillNats, 3),
    (Kind::CutPostgres, 2),
    (Kind::CutNats, 2),
    (Kind::SwallowDeliveries, 3),
    (Kind::SwallowAnswers, 2),
    (Kind::SwallowCommit, 4),
    (Kind::StallPostgres, 1),
];

/// A drawn fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// Which worker, or the next one that is free.
    pub(super) slot: usize,
    /// From 0 to 1 second: how long, in the fault's own measure.
    pub(super) spread: Duration,
    /// Whose accounts are locked.
    pub(super) user: Uuid,
    is_of_the_first: bool,
}

/// Deals faults, the same ones for the same seed.
#[derive(Debug)]
pub(super) struct Deck {
    rng: StdRng,
    workers: usize,
    users: Vec<Uuid>,
    /// At first each kind once, so that a short run has them all.
    first: Vec<Kind>,
}

impl Deck {
    pub(super) fn new(mut rng: StdRng, workers: usize, users: Vec<Uuid>) -> Self {
        let mut first: Vec<Kind> = WEIGHTS.iter().map(|(kind, _)| *kind).collect();
        first.shuffle(&mut rng);
        Self {
            rng,
            workers,
            users,
            first,
        }
    }

    pub(super) fn next(&mut self) -> Fault {
        let first = self.first.pop();
        Fault {
            kind: first.unwrap_or_else(|| draw_kind(&mut self.rng)),
            slot: self.rng.random_range(0..self.workers),
            spread: Duration::from_millis(self.rng.random_range(0..1000)),
            user: self.users[self.rng.random_range(0..self.users.len())],
            is_of_the_first: first.is_some(),
        }
    }

    /// It could not begin.
    pub(super) fn put_back(&mut self, fault: Fault) {
        if fault.is_of_the_first {
            self.first.insert(0, fault.kind);
        }
    }
}

fn draw_kind(rng: &mut StdRng) -> Kind {
    let mut left = rng.random_range(0..WEIGHTS.iter().map(|(_, weight)| weight).sum());
    for (kind, weight) in WEIGHTS {
        if left < weight {
            return kind;
        }
        left -= weight;
    }
    Kind::KillWorker
}
