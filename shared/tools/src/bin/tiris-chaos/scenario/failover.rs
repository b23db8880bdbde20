//! The primary becomes read-only without ending a session, a standby is promoted, and the addresses lead to it. Everything
//! that was acknowledged is there, and all processes follow by themselves.

use super::client::Request;
use super::requests::{Expect, Requests};
use crate::finish::end;
use crate::publishing::Publishing;
use crate::report::Outcome;
use crate::run::{Load, Options, Run};
use crate::system::database_url;
use crate::system::worker::{Place, Worker};
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tiris_testing::{PgServer, eventually, local_http_client};
use tiris_tools::{ApiServer, count_rows};

const LOAD: Load = Load {
    name: "failover",
    events: 5_000,
    duration: Duration::from_secs(25),
    has_unreadable: false,
};
/// From the start of the load to the failover.
const BEFORE: Duration = Duration::from_secs(6);
/// From the promotion until changes work.
const RECOVERY_LIMIT: Duration = Duration::from_secs(5);
/// How soon a process notices that its database is read-only: its regular check and the limit of that.
const NOTICE_LIMIT: Duration = Duration::from_secs(20);
const REQUEST_LIMIT: Duration = Duration::from_secs(8);
/// The words of the health check.
const WORDS: &str = "read-only";
/// Sessions of the programs on the old primary.
const LEFT: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name IN ('tiris-api', 'tiris-ingest')";

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let (run, publishing) = Publishing::begin(LOAD, options).await?;
    let requests = Requests::begin(&run, Expect::SuccessOrUnavailable).await?;
    let switched = fail_over(&run, &requests).await;
    let accounts = requests.end(&run).await?;
    let done = switched.as_ref().map(|_| accounts);
    let done = done.map_err(|error| anyhow::anyhow!("{error:#}"));
    // The new primary runs until the end of the checks.
    end(run, publishing, done).await
}

/// Processes that were started while only the standby was reachable.
struct Early {
    api: ApiServer,
    worker: Arc<Worker>,
}

async fn fail_over(run: &Arc<Run>, requests: &Requests) -> Result<(PgServer, Early)> {
    run.phase("replicating");
    let primary = run.system.postgres.lock().await;
    let standby = primary
        .standby(&run.system.folder().join("standby"))
        .await?;
    let early = start_early(run, &standby).await?;
    tokio::time::sleep(BEFORE).await;

    run.phase("the primary is read-only");
    primary.fence(&standby).await?;
    let api_url = run.system.api.lock().await.ready_url();
    wait_for_words(&api_url).await?;
    wait_for_words(&early.api.service.ready_url()).await?;
    wait_for_words(&early.worker.ready_url().await).await?;

    run.phase("the standby is promoted");
    let system = &run.system;
    system.api.lock().await.postgres.lead_to(standby.port());
    for worker in &system.workers {
        worker.postgres.lead_to(standby.port());
    }
    system.front.lead_to(standby.port());
    standby.promote().await?;
    let promoted = Instant::now();
    system.front.cut();

    let before = count_rows(&system.pool, "processed_events").await?;
    wait_until("requests change", promoted, async || {
        requests.client().expect_success(Request::Deposit).await
    })
    .await?;
    run.faults
        .add_millis("a request changed after", promoted.elapsed())?;
    wait_until("events are applied", promoted, async || {
        let now = count_rows(&system.pool, "processed_events").await?;
        ensure!(now > before, "no event was applied yet");
        Ok(())
    })
    .await?;
    run.faults
        .add_millis("an event was applied after", promoted.elapsed())?;
    wait_until_ready(&early, promoted).await?;
    eventually("no session on the old primary", NOTICE_LIMIT, async || {
        let left = primary.count(LEFT).await?;
        ensure!(left == 0, "{left} sessions are left");
        Ok(())
    })
    .await?;
    drop(primary);
    Ok((standby, early))
}

async fn start_early(run: &Run, standby: &PgServer) -> Result<Early> {
    let folder = run.system.folder().join("early");
    tokio::fs::create_dir(&folder).await?;
    let place = Place {
        build: &run.system.build,
        postgres: standby.port(),
        nats: run.system.nats.lock().await.port(),
        logs: &folder,
    };
    let worker = Worker::start(run.system.workers.len(), place).await?;
    let api = ApiServer::launch(&database_url(standby.port()), &folder, |command| {
        command.log(folder.join("api.log"))
    })?;
    Ok(Early {
        api,
        worker: Arc::new(worker),
    })
}

/// Waits until a process is not ready because its database is read-only.
async fn wait_for_words(url: &str) -> Result<()> {
    let client = local_http_client(REQUEST_LIMIT)?;
    eventually("a process that is not ready", NOTICE_LIMIT, async || {
        let answer = client.get(url).send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        ensure!(
            status.as_u16() == 503 && body.contains(WORDS),
            "{status}: {body}"
        );
        Ok(())
    })
    .await
}

/// Waits until `done` succeeds, at most for the rest of the limit since `promoted`.
async fn wait_until(
    what: &str,
    promoted: Instant,
    done: impl AsyncFnMut() -> Result<()>,
) -> Result<()> {
    let rest = RECOVERY_LIMIT.saturating_sub(promoted.elapsed());
    eventually(what, rest, done)
        .await
        .with_context(|| format!("{} s after the promotion", RECOVERY_LIMIT.as_secs()))
}

async fn wait_until_ready(early: &Early, promoted: Instant) -> Result<()> {
    let client = local_http_client(REQUEST_LIMIT)?;
    for url in [
        early.api.service.ready_url(),
        early.worker.ready_url().await,
    ] {
        // A check may have begun before the promotion.
        wait_until_ok(&client, &url, promoted).await?;
    }
    Ok(())
}

async fn wait_until_ok(client: &reqwest::Client, url: &str, promoted: Instant) -> Result<()> {
    let rest = (2 * RECOVERY_LIMIT).saturating_sub(promoted.elapsed());
    eventually("an early process that is ready", rest, async || {
        let answer = client.get(url).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "{status}: {}", answer.text().await?);
        Ok(())
    })
    .await
}
