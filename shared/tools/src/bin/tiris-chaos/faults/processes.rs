//! Faults of processes: killed, stopped, restarted.
//!
//! Owns: signals and new starts. Must not know: connections.

use super::deck::Fault;
use super::site::Site;
use crate::system::settings::{EXIT_LIMIT, LEASE};
use crate::system::worker::Held;
use anyhow::Result;
use nix::sys::signal::Signal;
use std::time::Duration;
use tiris_testing::PgStop;

pub(super) async fn kill_worker(site: Site, fault: Fault, mut held: Held) -> Result<()> {
    expect_running(&site, &mut held)?;
    let slot = held.worker.slot();
    site.note("worker killed (SIGKILL)", &format!("worker {slot}"));
    held.process().kill().await?;
    tokio::time::sleep(fault.spread).await;
    held.start_again()
}

/// A worker that ended and was not told to is a finding; it is started again, so that the run goes on.
fn expect_running(site: &Site, held: &mut Held) -> Result<()> {
    if held.process().is_running() {
        return Ok(());
    }
    let slot = held.worker.slot();
    let tail = held.process().log_tail();
    site.wrong(&format!("worker {slot} ended by itself:\n{tail}"));
    held.start_again()
}

/// Longer than the lease: others take its lanes, and then it wakes up.
pub(super) async fn stop_worker(site: Site, fault: Fault, mut held: Held) -> Result<()> {
    expect_running(&site, &mut held)?;
    let pause = LEASE + Duration::from_millis(300) + fault.spread;
    site.note(
        "worker stopped for longer than its lease",
        &format!("worker {} for {pause:?}", held.worker.slot()),
    );
    held.process().signal(Signal::SIGSTOP)?;
    tokio::time::sleep(pause).await;
    held.process().signal(Signal::SIGCONT)
}

pub(super) async fn restart_worker(site: Site, fault: Fault, mut held: Held) -> Result<()> {
    expect_running(&site, &mut held)?;
    let slot = held.worker.slot();
    site.note("worker restarted (SIGTERM)", &format!("worker {slot}"));
    match held.process().terminate(EXIT_LIMIT).await {
        Ok(exit) if exit.success() => {}
        Ok(exit) => site.wrong(&format!("worker {slot} ended with {exit} after SIGTERM")),
        Err(error) => {
            site.wrong(&format!("worker {slot} after SIGTERM: {error:#}"));
            held.process().kill().await?;
        }
    }
    tokio::time::sleep(fault.spread / 4).await;
    held.start_again()
}

pub(super) async fn stop_postgres(site: Site, fault: Fault) -> Result<()> {
    let mut postgres = site.system.postgres.lock().await;
    let spread = fault.spread;
    site.note("PostgreSQL stopped at once", &format!("for {spread:?}"));
    postgres.stop(PgStop::Immediate).await?;
    tokio::time::sleep(fault.spread).await;
    postgres.restart().await
}

pub(super) async fn kill_nats(site: Site, fault: Fault) -> Result<()> {
    let mut nats = site.system.nats.lock().await;
    site.note("NATS killed (SIGKILL)", &format!("for {:?}", fault.spread));
    nats.kill().await?;
    tokio::time::sleep(fault.spread).await;
    nats.restart().await
}
