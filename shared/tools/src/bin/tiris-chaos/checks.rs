//! The checks after a run.

mod order;
mod poison;
pub(crate) mod probe;
mod rest;
pub(crate) mod seen;
pub(crate) mod settle;
pub(crate) mod stream;

use crate::load::users;
use crate::report::Check;
use crate::run::Run;
use crate::tally::WRONG;
use anyhow::Result;
use std::time::Duration;
use stream::Stored;
use tiris_testing::auditor::{Auditor, Verdict};
use tiris_tools::count_rows;
use uuid::Uuid;

const VERIFY_LIMIT: Duration = Duration::from_secs(600);

/// The asset of accounts over REST, and the amount of each of their deposits.
pub(crate) const SYMBOL: &str = "EUR";
pub(crate) const DEPOSIT: &str = "0.000000000001";

/// An account that was created over REST and has only deposits over REST.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestAccount {
    pub(crate) user: Uuid,
    pub(crate) trading: Uuid,
    pub(crate) id: Uuid,
    /// The number of deposits.
    pub(crate) deposits: usize,
}

/// A stored message with the auditor's verdict.
struct Judged<'a> {
    message: &'a Stored,
    verdict: Verdict,
}

/// Runs all checks of a settled system.
pub(crate) async fn all(
    run: &Run,
    messages: &[Stored],
    accounts: &[RestAccount],
) -> Result<Vec<Check>> {
    let pool = &run.system.pool;
    let mut auditor = Auditor::new(false);
    users::report(&mut auditor, &run.users)?;
    for account in accounts {
        auditor.trading(account.trading, account.user);
        auditor.account(account.id, account.user, account.trading, SYMBOL, "0")?;
        for _ in 0..account.deposits {
            auditor.deposit(account.id, DEPOSIT)?;
        }
    }

    let judged: Vec<Judged> = messages
        .iter()
        .map(|message| Judged {
            message,
            verdict: auditor.publish(&message.subject, &message.payload),
        })
        .collect();
    let count = |wanted: fn(&Verdict) -> bool| {
        let found = judged.iter().filter(|judged| wanted(&judged.verdict));
        found.count()
    };
    let applied = count(|verdict| *verdict == Verdict::Applied);
    let refused = count(|verdict| matches!(verdict, Verdict::Refused(_)));
    let expected = auditor.accounts();
    let audit = Check {
        what: "auditor: balances, holds, orders, claims, dead letters",
        extent: format!(
            "{} accounts, {applied} events applied, {refused} refused",
            expected.len()
        ),
        findings: auditor.compare(pool).await?,
    };

    Ok(vec![
        audit,
        poison::check(pool, &judged).await?,
        order::check(pool, &judged).await?,
        verify(run).await?,
        rest::check(run, &expected).await?,
        lanes(run).await?,
    ])
}

/// Runs the verifier of an operator.
async fn verify(run: &Run) -> Result<Check> {
    let verified = tokio::time::timeout(VERIFY_LIMIT, run.system.verify()).await?;
    let findings = verified.err().map(|error| format!("{error:#}"));
    Ok(Check {
        what: "tiris-migrate verify",
        extent: "the whole database".to_owned(),
        findings: findings.into_iter().collect(),
    })
}

/// Checks that no lane is halted or without an owner, and that no process ended by itself.
async fn lanes(run: &Run) -> Result<Check> {
    let pool = &run.system.pool;
    let mut findings: Vec<String> = sqlx::query_scalar(
        "SELECT format('%s/%s: %s, owner %s, %s', stream, lane, status, owner, status_reason) FROM ingest_lanes \
         WHERE status = 'halted' OR owner IS NULL ORDER BY stream, lane",
    )
    .fetch_all(pool)
    .await?;
    for worker in &run.system.workers {
        if let Err(error) = worker.wait_until_ready().await {
            findings.push(format!("worker {} is not ready: {error:#}", worker.slot));
        }
    }
    let wrong = run.faults.all();
    let wrong = wrong.iter().filter(|(what, _)| what.starts_with(WRONG));
    findings.extend(wrong.map(|(what, count)| format!("{what} ({count} times)")));

    Ok(Check {
        what: "lanes owned, workers ready, no surprises",
        extent: format!("{} lanes", count_rows(pool, "ingest_lanes").await?),
        findings,
    })
}
