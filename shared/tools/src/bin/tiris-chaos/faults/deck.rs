//! The kinds of faults, their frequency and their order.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use std::time::Duration;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// SIGKILL and a new process.
    KillWorker,
    /// SIGSTOP for longer than the lease.
    StopWorker,
    /// SIGSTOP between the lock of the lane's row and the commit.
    StopInTransaction,
    /// SIGTERM and a new process.
    RestartWorker,
    /// Immediate stop and a new start.
    StopPostgres,
    /// SIGKILL and a new start.
    KillNats,
    /// Cuts all TCP connections of a worker to PostgreSQL.
    CutPostgres,
    /// Cuts all TCP connections of a worker to NATS.
    CutNats,
    /// Loses deliveries of NATS to a worker, then cuts the connection.
    SwallowDeliveries,
    /// Loses responses of PostgreSQL to a worker, then cuts the connections.
    SwallowAnswers,
    /// Loses responses of PostgreSQL to COMMIT, then cuts the connections: the worker cannot know the outcome.
    SwallowCommit,
    /// Stalls the connections between a worker and PostgreSQL.
    StallPostgres,
}

/// The relative frequency of each kind.
const WEIGHTS: &[(Kind, u32)] = &[
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
    /// The worker, or the next free one.
    pub(super) slot: usize,
    /// From 0 to 1 second: varies the length of the fault.
    pub(super) spread: Duration,
    /// The owner of the accounts to lock.
    pub(super) user: Uuid,
    is_from_first_round: bool,
}

/// Draws faults, the same ones for the same seed.
#[derive(Debug)]
pub(super) struct Deck {
    rng: StdRng,
    workers: usize,
    users: Vec<Uuid>,
    /// Each kind once, so that a short run has them all.
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
        let drawn = WEIGHTS.choose_weighted(&mut self.rng, |(_, weight)| *weight);
        let drawn = drawn.map_or(Kind::KillWorker, |(kind, _)| *kind);
        Fault {
            kind: first.unwrap_or(drawn),
            slot: self.rng.random_range(0..self.workers),
            spread: Duration::from_millis(self.rng.random_range(0..1000)),
            user: self.users[self.rng.random_range(0..self.users.len())],
            is_from_first_round: first.is_some(),
        }
    }

    /// Returns a fault that could not begin.
    pub(super) fn put_back(&mut self, fault: Fault) {
        if fault.is_from_first_round {
            self.first.insert(0, fault.kind);
        }
    }
}
