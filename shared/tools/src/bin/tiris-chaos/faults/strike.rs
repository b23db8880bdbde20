//! Faults of servers and workers: signals, new starts, disturbed connections.

use super::deck::{Fault, Kind};
use crate::run::Run;
use crate::system::worker::{Held, LEASE};
use anyhow::Result;
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::time::Duration;
use tiris_testing::{PgStop, Proxy, ProxyMode};
use tokio::time::sleep;

/// The shortest time bytes are lost.
const SWALLOW_MIN: Duration = Duration::from_millis(50);
/// Longer than a session may idle in a transaction.
const STALL_MIN: Duration = Duration::from_millis(1_500);
/// A stop lasts so much longer than the lease, so that other workers take the lanes.
const BEYOND_LEASE: Duration = Duration::from_millis(300);

pub(super) async fn stop_postgres(run: Arc<Run>, fault: Fault) -> Result<()> {
    let mut postgres = run.system.postgres.lock().await;
    let spread = fault.spread;
    run.note("PostgreSQL stopped at once", &format!("for {spread:?}"));
    postgres.stop(PgStop::Immediate).await?;
    sleep(spread).await;
    postgres.restart().await
}

pub(super) async fn kill_nats(run: Arc<Run>, fault: Fault) -> Result<()> {
    let mut nats = run.system.nats.lock().await;
    let spread = fault.spread;
    run.note("NATS killed (SIGKILL)", &format!("for {spread:?}"));
    nats.kill().await?;
    sleep(spread).await;
    nats.restart().await
}

pub(super) async fn disturb_worker(run: Arc<Run>, fault: Fault, mut held: Held) -> Result<()> {
    let spread = fault.spread;
    let slot = held.worker.slot;
    let name = format!("worker {slot}");
    if !held.service.process.is_running() {
        let tail = held.service.process.log_tail();
        run.wrong(&format!("{name} ended by itself:\n{tail}"));
        held.start_again()?;
    }

    match fault.kind {
        Kind::KillWorker => {
            run.note("worker killed (SIGKILL)", &name);
            held.service.process.kill().await?;
            sleep(spread).await;
            held.start_again()
        }
        Kind::RestartWorker => {
            run.note("worker restarted (SIGTERM)", &name);
            if let Err(error) = held.service.stop().await {
                run.wrong(&format!("{name}: {error:#}"));
                held.service.process.kill().await?;
            }
            sleep(spread / 4).await;
            held.start_again()
        }
        Kind::StopWorker => {
            let pause = LEASE + BEYOND_LEASE + spread;
            run.note(
                "worker stopped for longer than its lease",
                &format!("{name} for {pause:?}"),
            );
            held.service.process.signal(Signal::SIGSTOP)?;
            sleep(pause).await;
            held.service.process.signal(Signal::SIGCONT)
        }
        _ => {
            disturb_links(&run, fault, &held, &name).await;
            Ok(())
        }
    }
}

async fn disturb_links(run: &Run, fault: Fault, held: &Held, name: &str) {
    let spread = fault.spread;
    let postgres = &held.worker.postgres;
    let nats = &held.worker.nats;
    let details = format!("{name}, {spread:?}");

    match fault.kind {
        Kind::CutPostgres => {
            let cut = format!("{} of {name}", postgres.cut());
            run.note("connections to PostgreSQL cut", &cut);
        }
        Kind::CutNats => {
            let cut = format!("{} of {name}", nats.cut());
            run.note("connections to NATS cut", &cut);
        }
        Kind::SwallowDeliveries => {
            run.note("deliveries of NATS swallowed, then cut", &details);
            swallow(nats, ProxyMode::Swallow, SWALLOW_MIN + spread).await;
        }
        Kind::SwallowAnswers => {
            run.note("responses of PostgreSQL swallowed, then cut", &details);
            swallow(postgres, ProxyMode::Swallow, SWALLOW_MIN + spread / 4).await;
        }
        Kind::SwallowCommit => {
            run.note("responses to COMMIT swallowed, then cut", &details);
            let mode = ProxyMode::SwallowAfter("COMMIT");
            swallow(postgres, mode, SWALLOW_MIN + spread / 2).await;
        }
        _ => {
            run.note("connections to PostgreSQL stalled", name);
            postgres.set(ProxyMode::Stall);
            sleep(STALL_MIN + spread).await;
            postgres.set(ProxyMode::Pass);
        }
    }
}

async fn swallow(proxy: &Proxy, mode: ProxyMode, pause: Duration) {
    proxy.set(mode);
    sleep(pause).await;
    proxy.cut();
    proxy.set(ProxyMode::Pass);
}
