//! Faults about once a second, at most one at a time for each process.

mod deck;
mod strike;
mod transaction;

use crate::run::Run;
use crate::seed::{self, Purpose};
use anyhow::Result;
use deck::{Deck, Fault, Kind};
use rand::RngExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, LocalSet};

/// The pause between two faults, in milliseconds.
const PAUSES: std::ops::Range<u64> = 500..1_500;
/// The number of draws when the process of a fault is busy.
const DRAWS: u32 = 8;

/// Injects faults for the duration of the load, then waits for the end of those under way.
pub(crate) async fn inject(run: &Arc<Run>) -> Result<()> {
    LocalSet::new().run_until(inject_here(run)).await
}

async fn inject_here(run: &Arc<Run>) -> Result<()> {
    // Separate streams, because the number of draws depends on timing.
    let mut pauses = seed::stream(run.options.seed, Purpose::Pauses);
    let rng = seed::stream(run.options.seed, Purpose::Faults);
    let users = run.users.iter().map(|user| user.id).collect();
    let mut deck = Deck::new(rng, run.system.workers.len(), users);

    let end = Instant::now() + run.load.duration;
    let mut under_way = JoinSet::new();
    while Instant::now() < end {
        let pause = Duration::from_millis(pauses.random_range(PAUSES));
        let sleep = tokio::time::sleep(pause);
        if run.options.stop.run_until_cancelled(sleep).await.is_none() {
            break;
        }
        run.progress();

        for _ in 0..DRAWS {
            let fault = deck.next();
            if begin(run, fault, &mut under_way) {
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

/// Begins a fault unless its process is busy with another one.
fn begin(run: &Arc<Run>, fault: Fault, under_way: &mut JoinSet<Result<()>>) -> bool {
    let postgres_is_free = run.system.postgres.try_lock().is_ok();
    let nats_is_free = run.system.nats.try_lock().is_ok();
    let own = run.clone();
    match fault.kind {
        Kind::StopPostgres if postgres_is_free => {
            under_way.spawn_local(strike::stop_postgres(own, fault));
        }
        Kind::KillNats if nats_is_free => {
            under_way.spawn_local(strike::kill_nats(own, fault));
        }
        // The measurement needs both servers.
        Kind::StopInTransaction if postgres_is_free && nats_is_free => {
            under_way.spawn_local(transaction::stop_inside(own, fault));
        }
        Kind::StopPostgres | Kind::KillNats | Kind::StopInTransaction => return false,
        _ => {
            let Some(held) = run.system.hold_free_worker(fault.slot) else {
                return false;
            };
            under_way.spawn_local(strike::disturb_worker(own, fault, held));
        }
    }
    true
}
