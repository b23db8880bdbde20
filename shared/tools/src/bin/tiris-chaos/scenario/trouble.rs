//! PostgreSQL is slow, silent, locked or full: requests are answered in time, ingest waits, both recover alone.
//!
//! Owns: the troubles one after the other, and what may be answered meanwhile. Must not know: the load.

use super::client::{Answer, Ask, Client};
use crate::checks::Extra;
use crate::finish::end;
use crate::report::Outcome;
use crate::run::{Load, Options, Run};
use crate::seed::{self, Purpose};
use crate::system::api::REQUEST_LIMIT;
use crate::system::disk::Disk;
use crate::system::proxy::Mode;
use anyhow::{Context, Result, ensure};
use sqlx::{Connection, PgConnection};
use std::time::{Duration, Instant};
use tiris_testing::eventually;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const LOAD: Load = Load {
    name: "trouble",
    events: 6_000,
    duration: Duration::from_secs(60),
};
/// How long each trouble lasts.
const LENGTH: Duration = Duration::from_secs(9);
/// What PostgreSQL takes for every answer while it is slow.
const SLOWNESS: Duration = Duration::from_secs(5);
const PACE: Duration = Duration::from_millis(50);
/// A process that is not asked to hurry may answer so much later than its limit.
const ANSWER_MARGIN: Duration = Duration::from_secs(3);
const RECOVERY_LIMIT: Duration = Duration::from_secs(40);
/// What may be answered while the database is in trouble: it works, it does not, it took too long.
const ALLOWED: [u16; 5] = [200, 201, 202, 503, 504];

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let disk = Disk::mount()?;
    let data = disk.as_ref().map(Disk::folder);
    let run = Run::begin(LOAD, options, data).await?;
    let done = all(&run, disk.as_ref()).await;
    let outcome = end(run, done).await;
    drop(disk);
    outcome
}

async fn all(run: &Run, disk: Option<&Disk>) -> Result<Vec<Extra>> {
    let client = Client::open(&run.system, &run.users[0]).await?;
    let slow = disturbed(run, Mode::Slow(SLOWNESS));
    during(run, &client, "PostgreSQL slow", slow).await?;
    let silent = disturbed(run, Mode::Stall);
    during(run, &client, "PostgreSQL silent", silent).await?;
    let name = "sub-accounts locked, connections used up";
    during(run, &client, name, locked(run)).await?;

    if let Some(disk) = disk {
        during(run, &client, "disk full", full(run, disk)).await?;
    } else {
        run.options
            .view
            .say("disk full: skipped, it needs root on Linux and the right to mount");
        run.faults.count("disk full: skipped");
    }
    Ok(vec![client.extra()])
}

/// Asks all the while `trouble` lasts, then waits until requests work again.
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
    let (answers, done) = tokio::join!(ask(run, client, name, &stop), troubling);
    done?;

    let refused = answers.iter().filter(|answer| answer.status >= 500).count();
    let slowest = answers.iter().map(|answer| answer.took).max();
    let requests = u64::try_from(answers.len())?;
    run.faults.add(&format!("{name}: requests"), requests);
    let answered = format!("{name}: answered 503 or 504");
    run.faults.add(&answered, u64::try_from(refused)?);
    let slowest = slowest.unwrap_or_default();
    run.faults
        .add_millis(&format!("{name}: slowest answer"), slowest)?;
    if refused == 0 {
        run.wrong(&format!(
            "{name}: every request was answered, the trouble was none"
        ));
    }
    recover(run, client, name).await
}

/// Waits until requests work again and all workers are ready.
async fn recover(run: &Run, client: &Client, name: &str) -> Result<()> {
    let begun = Instant::now();
    eventually("requests work again", RECOVERY_LIMIT, async || {
        for what in [Ask::Deposit, Ask::Account, Ask::Transactions] {
            let Answer { status, body, .. } = client.ask(what).await?;
            ensure!(status < 300, "{what:?} is answered {status}: {body}");
        }
        Ok(())
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

/// Asks at an even pace without waiting for answers, until `stop`; returns the answers that came.
async fn ask(run: &Run, client: &Client, name: &str, stop: &CancellationToken) -> Vec<Answer> {
    let mut rng = seed::stream(run.options.seed, Purpose::Requests(0));
    let mut tick = tokio::time::interval(PACE);
    let mut under_way = JoinSet::new();
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let what = Ask::draw(&mut rng);
        let client = client.clone();
        under_way.spawn(async move { (what, client.ask(what).await) });
    }

    let mut answers = Vec::new();
    for (what, answer) in under_way.join_all().await {
        match answer {
            Ok(answer) => {
                judge(run, &format!("{name}: {what:?}"), &answer);
                answers.push(answer);
            }
            Err(error) => run.wrong(&format!("{name}: {what:?} was not answered: {error:#}")),
        }
    }
    answers
}

fn judge(run: &Run, what: &str, answer: &Answer) {
    if !ALLOWED.contains(&answer.status) {
        run.options.view.detail(&answer.body);
        run.wrong(&format!("{what} was answered {}", answer.status));
    }
    if answer.took > REQUEST_LIMIT + ANSWER_MARGIN {
        let seconds = answer.took.as_secs();
        run.wrong(&format!("{what} was answered after {seconds} s"));
    }
}

async fn disturbed(run: &Run, mode: Mode) -> Result<()> {
    let api = run.system.api.lock().await;
    let workers = run.system.workers.iter().map(|worker| worker.postgres());
    let proxies: Vec<_> = workers.chain([&api.postgres]).collect();

    proxies.iter().for_each(|proxy| proxy.set(mode));
    tokio::time::sleep(LENGTH).await;
    proxies.iter().for_each(|proxy| proxy.set(Mode::Pass));
    Ok(())
}

/// Whoever wants an account waits, until no connection of any pool is left.
async fn locked(run: &Run) -> Result<()> {
    let mut connection = PgConnection::connect(&run.system.database_url).await?;
    let mut lock = connection.begin().await?;
    sqlx::query("LOCK TABLE sub_accounts IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await?;
    tokio::time::sleep(LENGTH).await;
    Ok(lock.rollback().await?)
}

/// Nothing fits on the disk; PostgreSQL may die of it, as it does in life, and is started again when there is room.
async fn full(run: &Run, disk: &Disk) -> Result<()> {
    disk.fill().await?;
    tokio::time::sleep(LENGTH).await;
    disk.free()?;
    let mut postgres = run.system.postgres.lock().await;
    let died = postgres
        .process()
        .is_none_or(|process| !process.is_running());
    if died {
        run.faults.count("disk full: PostgreSQL died of it");
        postgres.kill().await?;
        postgres.restart().await?;
    }
    Ok(())
}
