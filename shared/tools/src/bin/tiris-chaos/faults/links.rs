//! Faults of connections: cut, stalled, bytes lost.
//!
//! Owns: what the proxies of a worker are told. Must not know: processes.

use super::{Fault, Kind, Site};
use crate::system::proxy::{Mode, Proxy};
use crate::system::worker::Held;
use anyhow::Result;
use std::time::Duration;

/// Shortest time bytes are lost.
const SWALLOW_MIN: Duration = Duration::from_millis(50);
/// Longer than a session may idle in a transaction.
const STALL_MIN: Duration = Duration::from_millis(1_500);

pub(super) async fn disturb(site: Site, fault: Fault, held: Held) -> Result<()> {
    let (slot, spread) = (held.worker.slot(), fault.spread);
    let (postgres, nats) = (held.worker.postgres(), held.worker.nats());
    match fault.kind {
        Kind::CutPostgres => {
            let count = postgres.cut();
            site.note(
                "connections to PostgreSQL cut",
                &format!("{count} of worker {slot}"),
            );
        }
        Kind::CutNats => {
            let count = nats.cut();
            site.note(
                "connections to NATS cut",
                &format!("{count} of worker {slot}"),
            );
        }
        Kind::SwallowDeliveries => {
            site.note(
                "deliveries of NATS swallowed, then cut",
                &format!("worker {slot}, {spread:?}"),
            );
            during(nats, Mode::Swallow, SWALLOW_MIN + spread).await;
        }
        Kind::SwallowAnswers => {
            site.note(
                "answers of PostgreSQL swallowed, then cut",
                &format!("worker {slot}, {spread:?}"),
            );
            during(postgres, Mode::Swallow, SWALLOW_MIN + spread / 4).await;
        }
        Kind::SwallowCommit => {
            site.note(
                "answers to COMMIT swallowed, then cut",
                &format!("worker {slot}, {spread:?}"),
            );
            during(
                postgres,
                Mode::SwallowAfter("COMMIT"),
                SWALLOW_MIN + spread / 2,
            )
            .await;
        }
        _ => {
            site.note(
                "connections to PostgreSQL stalled",
                &format!("worker {slot}"),
            );
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
