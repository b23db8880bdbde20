//! What must hold at the end.
//!
//! Owns: the list of checks. Must not know: what was done to the system.

mod order;
mod poison;
mod rest;
pub(crate) mod seen;
pub(crate) mod settle;
pub(crate) mod stream;

use crate::load::people;
use crate::report::Check;
use crate::run::Run;
use crate::tally::WRONG;
use anyhow::Result;
use std::time::Duration;
use stream::Stored;
use tiris_testing::auditor::{Auditor, Verdict};
use tiris_testing::binary;
use uuid::Uuid;

const VERIFY_LIMIT: Duration = Duration::from_secs(600);

/// An account that was made over REST, and the money that came over REST.
#[derive(Clone, Debug)]
pub(crate) struct Extra {
    pub(crate) user: Uuid,
    pub(crate) trading: Uuid,
    pub(crate) account: Uuid,
    pub(crate) symbol: &'static str,
    pub(crate) deposits: Vec<String>,
}

/// Everything that must hold once all is settled.
pub(crate) async fn all(run: &Run, messages: &[Stored], extra: &[Extra]) -> Result<Vec<Check>> {
    let pool = &run.system.pool;
    let mut auditor = Auditor::new(false);
    people::tell(&mut auditor, &run.users)?;
    for one in extra {
        auditor.trading(one.trading, one.user);
        auditor.account(one.account, one.user, one.trading, one.symbol, "0")?;
        for amount in &one.deposits {
            auditor.deposit(one.account, amount)?;
        }
    }

    let verdicts: Vec<Verdict> = messages
        .iter()
        .map(|message| auditor.publish(&message.subject, &message.payload))
        .collect();
    let count = |wanted: fn(&Verdict) -> bool| verdicts.iter().filter(|one| wanted(one)).count();
    let applied = count(|verdict| *verdict == Verdict::Applied);
    let refused = count(|verdict| matches!(verdict, Verdict::Refused(_)));
    let accounts = auditor.accounts();
    let extent = format!(
        "{} accounts, {applied} events applied, {refused} refused",
        accounts.len()
    );
    Ok(vec![
        Check::new(
            "auditor: balances, holds, claims, letters",
            extent,
            auditor.compare(pool).await?,
        ),
        poison::check(pool, messages, &verdicts).await?,
        order::check(pool, messages, &verdicts).await?,
        verify(run).await?,
        rest::check(run, &accounts).await?,
        lanes(run).await?,
    ])
}

/// The verifier an operator would use.
async fn verify(run: &Run) -> Result<Check> {
    let output = tokio::process::Command::new(binary("tiris-migrate")?)
        .arg("verify")
        .env("DATABASE_URL", &run.system.database_url)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(VERIFY_LIMIT, output).await??;

    let mut findings = Vec::new();
    if !output.status.success() {
        let report = String::from_utf8_lossy(&output.stdout);
        findings.push(format!("{}: {report}", output.status));
    }
    let extent = "the whole database".to_owned();
    Ok(Check::new("tiris-migrate verify", extent, findings))
}

#[derive(sqlx::FromRow)]
struct Lane {
    stream: String,
    lane: i32,
    status: String,
    status_reason: Option<String>,
    owned: bool,
}

/// Nothing is halted or without an owner, and nobody died by himself.
async fn lanes(run: &Run) -> Result<Check> {
    let lanes: Vec<Lane> = sqlx::query_as(
        "SELECT stream, lane, status, status_reason, owner IS NOT NULL AS owned FROM ingest_lanes ORDER BY stream, lane",
    )
    .fetch_all(&run.system.pool)
    .await?;

    let mut findings = Vec::new();
    for lane in &lanes {
        if lane.status == "halted" || !lane.owned {
            findings.push(format!(
                "{}/{}: {}, owned {}, {:?}",
                lane.stream, lane.lane, lane.status, lane.owned, lane.status_reason
            ));
        }
    }
    for worker in &run.system.workers {
        if let Err(error) = worker.wait_until_ready().await {
            findings.push(format!("worker {} is not ready: {error:#}", worker.slot()));
        }
    }
    let wrong = run.faults.all();
    let wrong = wrong.iter().filter(|(what, _)| what.starts_with(WRONG));
    findings.extend(wrong.map(|(what, count)| format!("{what} ({count} times)")));

    let extent = format!("{} lanes", lanes.len());
    let what = "lanes owned, workers ready, no surprises";
    Ok(Check::new(what, extent, findings))
}
