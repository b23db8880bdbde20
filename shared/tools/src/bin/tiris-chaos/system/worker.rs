//! An ingest worker behind two proxies, held by one fault at a time.

use super::database_url;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tiris_testing::Proxy;
use tiris_tools::{Build, Service};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Lanes per stream: few, so that each worker's lanes change hands often.
pub(crate) const LANES: u32 = 4;
/// The shortest lease that can be configured.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// The program, servers and logs of a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) build: &'a Build,
    /// The port of PostgreSQL.
    pub(crate) postgres: u16,
    /// The port of NATS.
    pub(crate) nats: u16,
    /// The folder of the log.
    pub(crate) logs: &'a Path,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) slot: usize,
    build: Build,
    /// The proxy in front of PostgreSQL.
    pub(crate) postgres: Proxy,
    /// The proxy in front of NATS.
    pub(crate) nats: Proxy,
    pub(crate) log: PathBuf,
    service: Arc<Mutex<Service>>,
}

/// A worker that no other task touches.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) worker: Arc<Worker>,
    pub(crate) service: OwnedMutexGuard<Service>,
}

impl Worker {
    /// Starts a worker without waiting until it is ready.
    pub(crate) async fn start(slot: usize, place: Place<'_>) -> Result<Self> {
        let postgres = Proxy::start(place.postgres).await?;
        let nats = Proxy::start(place.nats).await?;
        let log = place.logs.join(format!("ingest-{slot}.log"));
        let service = launch(place.build, slot, &postgres, &nats, &log)?;
        Ok(Self {
            slot,
            build: place.build.clone(),
            postgres,
            nats,
            log,
            service: Arc::new(Mutex::new(service)),
        })
    }

    /// Holds the worker unless another task does.
    pub(crate) fn try_hold(self: &Arc<Self>) -> Option<Held> {
        Some(Held {
            worker: self.clone(),
            service: self.service.clone().try_lock_owned().ok()?,
        })
    }

    /// Waits for other tasks and holds the worker.
    pub(crate) async fn hold(self: &Arc<Self>) -> Held {
        Held {
            worker: self.clone(),
            service: self.service.clone().lock_owned().await,
        }
    }

    /// Returns the URL of the readiness of the process.
    pub(crate) async fn ready_url(&self) -> String {
        self.service.lock().await.ready_url()
    }

    pub(crate) async fn wait_until_ready(&self) -> Result<()> {
        self.service.lock().await.wait_until_ready().await
    }
}

impl Held {
    /// Starts a new process in place of the ended one.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        let worker = &self.worker;
        *self.service = launch(
            &worker.build,
            worker.slot,
            &worker.postgres,
            &worker.nats,
            &worker.log,
        )?;
        Ok(())
    }
}

fn launch(
    build: &Build,
    slot: usize,
    postgres: &Proxy,
    nats: &Proxy,
    log: &Path,
) -> Result<Service> {
    // Some workers commit small batches, some large ones, so that faults meet both.
    let batch_events = ["20", "100", "1000"][slot % 3];
    let database_url = database_url(postgres.port);
    Service::launch_of(build, "tiris-ingest", "run", &database_url, |command| {
        command
            .name(format!("ingest {slot}"))
            .env("NATS_URL", format!("nats://127.0.0.1:{}", nats.port))
            .env("TIRIS_LANES", LANES.to_string())
            .env("TIRIS_LEASE_SECONDS", LEASE.as_secs().to_string())
            .env("TIRIS_BATCH_EVENTS", batch_events)
            .env("TIRIS_BARE_SUBJECTS", "refuse")
            .log(log)
    })
}
