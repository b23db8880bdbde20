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
use crate::scenario::Run;
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
    let mut auditor = Auditor::new(false);
    people::tell(&mut auditor, &run.users)?;
    for Extra {
        user,
        trading,
        account,
        symbol,
        deposits,
    } in extra
    {
        auditor.trading(*trading, *user);
        auditor.account(*account, *user, *trading, symbol, "0")?;
        for amount in deposits {
            auditor.deposit(*account, amount)?;
        }
    }
    let verdicts: Vec<Verdict> = messages
        .iter()
        .map(|message| auditor.publish(&message.subject, &message.payload))
        .collect();
    let pool = &run.system.pool;
    let accounts = auditor.accounts();
    let applied = verdicts
        .iter()
        .filter(|verdict| **verdict == Verdict::Applied)
        .count();
    let refused = verdicts
        .iter()
        .filter(|verdict| matches!(verdict, Verdict::Refused(_)))
        .count();
    Ok(vec![
        Check {
            what: "auditor: balances, holds, claims, letters",
            extent: format!(
                "{} accounts, {applied} events applied, {refused} refused",
                accounts.len()
            ),
            findings: auditor.compare(pool).await?,
        },
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
        findings.push(format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stdout)
        ));
    }
    Ok(Check {
        what: "tiris-migrate verify",
        extent: "the whole database".to_owned(),
        findings,
    })
}

/// Nothing is halted or without an owner, and nobody died by himself.
async fn lanes(run: &Run) -> Result<Check> {
    let rows: Vec<(String, i32, String, Option<String>, bool)> = sqlx::query_as(
        "SELECT stream, lane, status, status_reason, owner IS NOT NULL FROM ingest_lanes ORDER BY stream, lane",
    )
    .fetch_all(&run.system.pool)
    .await?;
    let mut findings: Vec<String> = rows
        .iter()
        .filter(|(_, _, status, _, owned)| status == "halted" || !owned)
        .map(|(stream, lane, status, why, owned)| {
            format!("{stream}/{lane}: {status}, owned {owned}, {why:?}")
        })
        .collect();
    for worker in &run.system.workers {
        if let Err(error) = worker.wait_until_ready().await {
            findings.push(format!("worker {} is not ready: {error:#}", worker.slot()));
        }
    }
    for (what, count) in run.faults.all() {
        if what.starts_with(crate::faults::WRONG) {
            findings.push(format!("{what} ({count} times)"));
        }
    }
    Ok(Check {
        what: "lanes owned, workers ready, no surprises",
        extent: format!("{} lanes", rows.len()),
        findings,
    })
}
