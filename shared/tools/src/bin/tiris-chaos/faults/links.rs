//! Faults of connections: cut, stalled, bytes lost.
//!
//! Owns: what the proxies of a worker are told. Must not know: processes.

use super::deck::{Fault, Kind};
use super::site::Site;
use crate::system::proxy::{Mode, Proxy};
use crate::system::worker::Held;
use anyhow::Result;
use std::time::Duration;

/// Shortest time bytes are lost.
const SWALLOW_MIN: Duration = Duration::from_millis(50);
/// Longer than a session may idle in a transaction.
const STALL_MIN: Duration = Duration::from_millis(1_500);

pub(super) async fn disturb(site: Site, fault: Fault, held: Held) -> Result<()> {
    let spread = fault.spread;
    let postgres = held.worker.postgres();
    let nats = held.worker.nats();
    let worker = format!("worker {}", held.worker.slot());
    let lasting = format!("{worker}, {spread:?}");

    match fault.kind {
        Kind::CutPostgres => {
            let count = postgres.cut();
            site.note(
                "connections to PostgreSQL cut",
                &format!("{count} of {worker}"),
            );
        }
        Kind::CutNats => {
            let count = nats.cut();
            site.note("connections to NATS cut", &format!("{count} of {worker}"));
        }
        Kind::SwallowDeliveries => {
            site.note("deliveries of NATS swallowed, then cut", &lasting);
            during(nats, Mode::Swallow, SWALLOW_MIN + spread).await;
        }
        Kind::SwallowAnswers => {
            site.note("answers of PostgreSQL swallowed, then cut", &lasting);
            during(postgres, Mode::Swallow, SWALLOW_MIN + spread / 4).await;
        }
        Kind::SwallowCommit => {
            site.note("answers to COMMIT swallowed, then cut", &lasting);
            let mode = Mode::SwallowAfter("COMMIT");
            during(postgres, mode, SWALLOW_MIN + spread / 2).await;
        }
        _ => {
            site.note("connections to PostgreSQL stalled", &worker);
            postgres.set(Mode::Stall);
            tokio::time::sleep(STALL_MIN + spread).await;
            postgres.set(Mode::Pass);
        }
    }

    Ok(())
}

async fn during(proxy: &Proxy, mode: Mode, pause: Duration) {
    proxy.set(mode);
    tokio::time::sleep(pause).await;
    proxy.cut();
    proxy.set(Mode::Pass);
}
