//! PostgreSQL is slow, silent, locked or full: requests are answered in time, ingest waits, both recover alone.
//!
//! Owns: the troubles one after the other, and what may be answered meanwhile. Must not know: the load.

use super::client::{Answer, Ask, Client};
use super::{Options, Run};
use crate::checks::Extra;
use crate::report::Outcome;
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

const EVENTS: u32 = 6_000;
const LOAD: Duration = Duration::from_secs(60);
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
    let run = Run::begin("trouble", options, (EVENTS, LOAD), data).await?;
    let done = all(&run, disk.as_ref()).await;
    let outcome = run.end(done).await;
    drop(disk);
    outcome
}

async fn all(run: &Run, disk: Option<&Disk>) -> Result<Vec<Extra>> {
    let client = Client::open(&run.system, &run.users[0]).await?;
    during(
        run,
        &client,
        "PostgreSQL slow",
        disturbed(run, Mode::Slow(SLOWNESS)),
    )
    .await?;
    during(
        run,
        &client,
        "PostgreSQL silent",
        disturbed(run, Mode::Stall),
    )
    .await?;
    during(
        run,
        &client,
        "sub-accounts locked, connections used up",
        locked(run),
    )
    .await?;
    match disk {
        Some(disk) => during(run, &client, "disk full", full(run, disk)).await?,
        None => {
            run.options
                .view
                .say("disk full: skipped, it needs root on Linux and the right to mount");
            run.faults.count("disk full: skipped");
        }
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
    ensure!(!run.options.stop.is_cancelled(), "stopped by a signal");
    run.options.view.phase(&format!("trouble: {name}"), 0);
    let end = CancellationToken::new();
    let asking = async {
        let answers = ask(run, client, name, &end).await;
        Ok::<_, anyhow::Error>(answers)
    };
    let troubling = async {
        let done = trouble.await;
        end.cancel();
        done
    };
    let (answers, ()) = tokio::try_join!(asking, troubling)?;
    let refused = answers.iter().filter(|answer| answer.status >= 500).count();
    let slowest = answers
        .iter()
        .map(|answer| answer.took)
        .max()
        .unwrap_or_default();
    run.faults
        .add(&format!("{name}: requests"), u64::try_from(answers.len())?);
    run.faults.add(
        &format!("{name}: answered 503 or 504"),
        u64::try_from(refused)?,
    );
    run.faults.add(
        &format!("{name}: slowest answer, in milliseconds"),
        u64::try_from(slowest.as_millis())?,
    );
    if refused == 0 {
        run.wrong(&format!(
            "{name}: every request was answered, the trouble was none"
        ));
    }
    let begun = Instant::now();
    eventually("requests work again", RECOVERY_LIMIT, async || {
        for what in [Ask::Deposit, Ask::Account, Ask::Transactions] {
            let answer = client.ask(what).await?;
            ensure!(
                answer.status < 300,
                "{what:?} is answered {}: {}",
                answer.status,
                answer.body
            );
        }
        Ok(())
    })
    .await
    .with_context(|| format!("after {name}"))?;
    run.system
        .wait_until_ready()
        .await
        .with_context(|| format!("ingest after {name}"))?;
    let took = u64::try_from(begun.elapsed().as_millis())?;
    run.faults
        .add(&format!("{name}: recovered after, in milliseconds"), took);
    Ok(())
}

async fn ask(run: &Run, client: &Client, name: &str, end: &CancellationToken) -> Vec<Answer> {
    let mut rng = seed::stream(run.options.seed, Purpose::Requests(0));
    let (mut tick, mut under_way, mut answers) =
        (tokio::time::interval(PACE), JoinSet::new(), Vec::new());
    loop {
        tokio::select! {
            () = end.cancelled() => break,
            _ = tick.tick() => {}
        }
        let (client, what) = (client.clone(), Ask::draw(&mut rng));
        under_way.spawn(async move { (what, client.ask(what).await) });
    }
    while let Some(ended) = under_way.join_next().await {
        match ended {
            Ok((what, Ok(answer))) => {
                if !ALLOWED.contains(&answer.status) {
                    run.options.view.detail(&answer.body);
                    run.wrong(&format!("{name}: {what:?} was answered {}", answer.status));
                }
                if answer.took > REQUEST_LIMIT + ANSWER_MARGIN {
                    run.wrong(&format!(
                        "{name}: {what:?} was answered after {} s",
                        answer.took.as_secs()
                    ));
                }
                answers.push(answer);
            }
            Ok((what, Err(error))) => {
                run.wrong(&format!("{name}: {what:?} was not answered: {error:#}"))
            }
            Err(error) => run.wrong(&format!("{name}: a client failed: {error}")),
        }
    }
    answers
}

async fn disturbed(run: &Run, mode: Mode) -> Result<()> {
    let api = run.system.api.lock().await;
    let all = || {
        run.system
            .workers
            .iter()
            .map(|worker| worker.postgres())
            .chain([&api.postgres])
    };
    all().for_each(|proxy| proxy.set(mode));
    tokio::time::sleep(LENGTH).await;
    all().for_each(|proxy| proxy.set(Mode::Pass));
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
