//! Faults about once a second.
//!
//! Owns: the pace, and that no two faults work on the same process. Must not know: which comes next, how one is done.

mod deck;
mod frozen;
mod links;
mod processes;

use crate::scenario::Run;
use crate::seed::{self, Purpose};
use crate::system::System;
use crate::system::worker::Held;
use crate::tally::Tally;
use anyhow::Result;
use deck::{Deck, Fault, Kind};
use rand::RngExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tiris_testing::View;
use tokio::task::{JoinSet, LocalSet};

/// Counters with this beginning are findings.
pub(crate) const WRONG: &str = "WRONG: ";
/// Between two faults, in milliseconds.
const PAUSES: std::ops::Range<u64> = 500..1_500;
/// A drawn fault whose process is busy is drawn again so often.
const DRAWS: u32 = 8;

/// What a fault works with.
#[derive(Clone, Debug)]
struct Site {
    system: Arc<System>,
    tally: Arc<Tally>,
    view: View,
    begun: Instant,
}

impl Site {
    /// The wanted worker, or another one nobody is busy with.
    fn worker(&self, fault: &Fault) -> Option<Held> {
        let workers = &self.system.workers;
        (0..workers.len()).find_map(|next| workers[(fault.slot + next) % workers.len()].try_hold())
    }

    fn note(&self, name: &str, what: &str) {
        self.tally.count(name);
        self.view
            .detail(&format!("{:>7.1?} {name}: {what}", self.begun.elapsed()));
    }

    fn wrong(&self, what: &str) {
        self.tally.count(&format!("{WRONG}{what}"));
        self.view
            .say(&format!("{:>7.1?} {WRONG}{what}", self.begun.elapsed()));
    }
}

/// Injects faults for `duration`, then waits for the end of those under way.
pub(crate) async fn inject(run: &Run, duration: Duration) -> Result<()> {
    LocalSet::new().run_until(inject_here(run, duration)).await
}

async fn inject_here(run: &Run, duration: Duration) -> Result<()> {
    // A stream of its own: how many faults are drawn before one can begin is a matter of timing.
    let mut pauses = seed::stream(run.options.seed, Purpose::Pauses);
    let users = run.users.iter().map(|user| user.id).collect();
    let rng = seed::stream(run.options.seed, Purpose::Faults);
    let mut deck = Deck::new(rng, run.system.workers.len(), users);
    let site = Site {
        system: run.system.clone(),
        tally: run.faults.clone(),
        view: run.options.view.clone(),
        begun: run.begun,
    };
    let (end, mut under_way) = (Instant::now() + duration, JoinSet::new());
    while Instant::now() < end && !run.options.stop.is_cancelled() {
        let pause = Duration::from_millis(pauses.random_range(PAUSES));
        tokio::select! {
            () = run.options.stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        run.options.view.progress(run.published.get("messages"));
        for _ in 0..DRAWS {
            let fault = deck.next();
            if begin(&site, fault, &mut under_way) {
                break;
            }
            deck.put_back(fault);
        }
        while let Some(ended) = under_way.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(())
}

/// Begins it, unless somebody is busy with what it needs.
fn begin(site: &Site, fault: Fault, under_way: &mut JoinSet<Result<()>>) -> bool {
    let system = site.system.clone();
    match fault.kind {
        Kind::StopPostgres => {
            if system.postgres.try_lock().is_err() {
                return false;
            }
            under_way.spawn_local(processes::stop_postgres(site.clone(), fault));
        }
        Kind::KillNats => {
            if system.nats.try_lock().is_err() {
                return false;
            }
            under_way.spawn_local(processes::kill_nats(site.clone(), fault));
        }
        Kind::StopInTransaction => {
            // Both servers must stay for what is measured.
            if system.postgres.try_lock().is_err() || system.nats.try_lock().is_err() {
                return false;
            }
            under_way.spawn_local(frozen::stop_in_transaction(site.clone(), fault));
        }
        kind => {
            let Some(held) = site.worker(&fault) else {
                return false;
            };
            let site = site.clone();
            match kind {
                Kind::KillWorker => {
                    under_way.spawn_local(processes::kill_worker(site, fault, held))
                }
                Kind::StopWorker => {
                    under_way.spawn_local(processes::stop_worker(site, fault, held))
                }
                Kind::RestartWorker => {
                    under_way.spawn_local(processes::restart_worker(site, fault, held))
                }
                _ => under_way.spawn_local(links::disturb(site, fault, held)),
            };
        }
    }
    true
}
