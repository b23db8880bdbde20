//! PostgreSQL is slow, silent, locked or full: requests are answered in time, ingest waits, both recover by themselves.

use super::client::{Client, Request, Response};
use crate::checks::RestAccount;
use crate::finish::end;
use crate::publishing::Publishing;
use crate::report::Outcome;
use crate::run::{Load, Options, Run};
use crate::seed::{self, Purpose};
use crate::system::Setup;
use crate::system::api::REQUEST_LIMIT;
use crate::system::disk::Disk;
use anyhow::{Context, Result};
use sqlx::{Connection, PgConnection};
use std::time::{Duration, Instant};
use tiris_testing::{ProxyMode, eventually};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const LOAD: Load = Load {
    name: "trouble",
    events: 6_000,
    duration: Duration::from_secs(60),
    has_unreadable: false,
};
/// The length of each trouble.
const LENGTH: Duration = Duration::from_secs(9);
/// The delay of PostgreSQL while it is slow.
const SLOWNESS: Duration = Duration::from_secs(5);
const PACE: Duration = Duration::from_millis(50);
/// The delay a busy process may add to its request limit.
const RESPONSE_MARGIN: Duration = Duration::from_secs(3);
const RECOVERY_LIMIT: Duration = Duration::from_secs(40);
/// The statuses allowed during trouble: success, unavailable, timeout.
const ALLOWED: [u16; 5] = [200, 201, 202, 503, 504];

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let disk = Disk::mount()?;
    let data = disk.as_ref().map(Disk::folder);
    let setup = Setup {
        data: data.as_deref(),
        ..Setup::new(options)
    };
    let (run, publishing) = Publishing::begin_on(setup, LOAD, options).await?;
    let done = all(&run, disk.as_ref()).await;
    end(run, publishing, done).await
}

async fn all(run: &Run, disk: Option<&Disk>) -> Result<Vec<RestAccount>> {
    let client = Client::open(&run.system, &run.users[0]).await?;
    let slow = disturbed(run, ProxyMode::Slow(SLOWNESS));
    during(run, &client, "PostgreSQL slow", slow).await?;
    let silent = disturbed(run, ProxyMode::Stall);
    during(run, &client, "PostgreSQL silent", silent).await?;
    let name = "sub-accounts locked, connections used up";
    during(run, &client, name, locked(run)).await?;

    if let Some(disk) = disk {
        during(run, &client, "disk full", full(run, disk)).await?;
    } else {
        let reason = "it needs root on Linux and permission to mount";
        run.faults.count(&format!("disk full: skipped, {reason}"));
    }
    Ok(vec![client.account()])
}

/// Sends requests during `trouble`, then waits for recovery.
async fn during(
    run: &Run,
    client: &Client,
    name: &str,
    trouble: impl Future<Output = Result<()>>,
) -> Result<()> {
    run.options.check_stop()?;
    run.phase(name);
    let stop = CancellationToken::new();
    let troubling = async {
        let done = trouble.await;
        stop.cancel();
        done
    };
    let (responses, done) = tokio::join!(send(run, client, name, &stop), troubling);
    done?;

    let slowest = responses.iter().map(|response| response.took).max();
    let failed = responses.iter().filter(|response| response.status >= 500);
    let failed = u64::try_from(failed.count())?;
    let add = |what: &str, count| run.faults.add(&format!("{name}: {what}"), count);
    add("requests", u64::try_from(responses.len())?);
    add("answered 503 or 504", failed);
    let what = format!("{name}: slowest response");
    run.faults.add_millis(&what, slowest.unwrap_or_default())?;
    if failed == 0 {
        run.wrong(&format!(
            "{name}: every request succeeded, so the trouble had no effect"
        ));
    }
    recover(run, client, name).await
}

/// Waits until requests succeed and all workers are ready.
async fn recover(run: &Run, client: &Client, name: &str) -> Result<()> {
    let begun = Instant::now();
    eventually("requests succeed", RECOVERY_LIMIT, async || {
        client.expect_success(Request::Deposit).await?;
        client.expect_success(Request::Account).await?;
        client.expect_success(Request::Transactions).await
    })
    .await
    .with_context(|| format!("after {name}"))?;

    run.system
        .wait_until_ready()
        .await
        .with_context(|| format!("ingest after {name}"))?;
    let what = format!("{name}: recovered after");
    run.faults.add_millis(&what, begun.elapsed())
}

/// Sends requests at an even pace until `stop`, without waiting for responses; returns the responses.
async fn send(run: &Run, client: &Client, name: &str, stop: &CancellationToken) -> Vec<Response> {
    let mut rng = seed::stream(run.options.seed, Purpose::Requests(0));
    let mut tick = tokio::time::interval(PACE);
    let mut under_way = JoinSet::new();
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let request = Request::draw(&mut rng);
        let client = client.clone();
        under_way.spawn(async move { (request, client.send(request).await) });
    }

    let mut responses = Vec::new();
    for (request, response) in under_way.join_all().await {
        let what = format!("{name}: {request:?}");
        match response {
            Ok(response) => {
                judge(run, &what, &response);
                responses.push(response);
            }
            Err(error) => run.wrong(&format!("{what} got no response: {error:#}")),
        }
    }
    responses
}

fn judge(run: &Run, what: &str, response: &Response) {
    if !ALLOWED.contains(&response.status) {
        run.options.view.detail(&response.body);
        run.wrong(&format!("{what} got status {}", response.status));
    }
    if response.took > REQUEST_LIMIT + RESPONSE_MARGIN {
        let seconds = response.took.as_secs();
        run.wrong(&format!("{what} was answered after {seconds} s"));
    }
}

async fn disturbed(run: &Run, mode: ProxyMode) -> Result<()> {
    let api = run.system.api.lock().await;
    let workers = run.system.workers.iter().map(|worker| &worker.postgres);
    let proxies: Vec<_> = workers.chain([&api.postgres]).collect();

    proxies.iter().for_each(|proxy| proxy.set(mode));
    tokio::time::sleep(LENGTH).await;
    proxies.iter().for_each(|proxy| proxy.set(ProxyMode::Pass));
    Ok(())
}

/// Locks all accounts, so that waiting statements use up the connections of every pool.
async fn locked(run: &Run) -> Result<()> {
    let mut connection = PgConnection::connect(&run.system.database_url).await?;
    let mut lock = connection.begin().await?;
    sqlx::query("LOCK TABLE sub_accounts IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await?;
    tokio::time::sleep(LENGTH).await;
    Ok(lock.rollback().await?)
}

/// Fills the disk, which may kill PostgreSQL, and restarts it once there is space.
async fn full(run: &Run, disk: &Disk) -> Result<()> {
    disk.fill().await?;
    tokio::time::sleep(LENGTH).await;
    disk.free()?;
    let mut postgres = run.system.postgres.lock().await;
    let died = postgres
        .process()
        .is_none_or(|process| !process.is_running());
    if died {
        run.faults.count("disk full: PostgreSQL ended");
        postgres.kill().await?;
        postgres.restart().await?;
    }
    Ok(())
}
