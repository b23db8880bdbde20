//! Faults about once a second.
//!
//! Owns: the pace, and that no two faults work on the same process. Must not know: which comes next, how one is done.

mod deck;
mod frozen;
mod links;
mod processes;
mod site;

use crate::run::Run;
use crate::seed::{self, Purpose};
use anyhow::Result;
use deck::{Deck, Fault, Kind};
use rand::RngExt;
use site::Site;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, LocalSet};

/// Between two faults, in milliseconds.
const PAUSES: std::ops::Range<u64> = 500..1_500;
/// A drawn fault whose process is busy is drawn again so often.
const DRAWS: u32 = 8;

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

    let end = Instant::now() + duration;
    let mut under_way = JoinSet::new();
    while Instant::now() < end && !run.options.stop.is_cancelled() {
        let pause = Duration::from_millis(pauses.random_range(PAUSES));
        let slept = run
            .options
            .stop
            .run_until_cancelled(tokio::time::sleep(pause));
        if slept.await.is_none() {
            break;
        }
        run.progress();

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
    let postgres_is_free = site.system.postgres.try_lock().is_ok();
    let nats_is_free = site.system.nats.try_lock().is_ok();
    let own = site.clone();
    match fault.kind {
        Kind::StopPostgres if postgres_is_free => {
            under_way.spawn_local(processes::stop_postgres(own, fault))
        }
        Kind::KillNats if nats_is_free => under_way.spawn_local(processes::kill_nats(own, fault)),
        // Both servers must stay for what is measured.
        Kind::StopInTransaction if postgres_is_free && nats_is_free => {
            under_way.spawn_local(frozen::stop_in_transaction(own, fault))
        }
        Kind::StopPostgres | Kind::KillNats | Kind::StopInTransaction => return false,
        kind => {
            let Some(held) = site.worker(&fault) else {
                return false;
            };
            match kind {
                Kind::KillWorker => under_way.spawn_local(processes::kill_worker(own, fault, held)),
                Kind::StopWorker => under_way.spawn_local(processes::stop_worker(own, fault, held)),
                Kind::RestartWorker => {
                    under_way.spawn_local(processes::restart_worker(own, fault, held))
                }
                _ => under_way.spawn_local(links::disturb(own, fault, held)),
            }
        }
    };

    true
}
