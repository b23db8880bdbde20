//! Compares what the bot expects with what the API answers, to the last digit.

use super::api::{self, Account};
use super::book::Purse;
use super::progress::Progress;
use super::report;
use comfy_table::Table;
use std::time::Duration;
use tiris_tools::ApiClient;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Pause between two questions to the API.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Asks until the API answers what the bot expects or `timeout` is over, prints both, and fails when they differ.
pub(super) async fn verify(
    client: &ApiClient,
    expected: &[&Purse],
    timeout: Duration,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut progress = Progress::of_waiting();
    let deadline = Instant::now() + timeout;
    let mut answers: Vec<Option<Account>> = vec![None; expected.len()];
    let trouble = loop {
        let trouble = match ask(client, expected).await {
            Ok(now) => {
                answers = now.into_iter().map(Some).collect();
                None
            }
            Err(error) => Some(error),
        };
        if matches_all(expected, &answers) || Instant::now() >= deadline {
            break trouble;
        }
        progress.say(waiting_for(expected, &answers, trouble.as_ref()));
        let pause = stop.run_until_cancelled(tokio::time::sleep(POLL_INTERVAL));
        if pause.await.is_none() {
            anyhow::bail!("stopped before the balances were verified");
        }
    };
    drop(progress);

    println!("{}", table(expected, &answers));
    if matches_all(expected, &answers) {
        println!("verified: the API answers exactly what the bot expects");
        return Ok(());
    }
    let seconds = timeout.as_secs();
    match trouble {
        Some(error) => Err(error.context(format!(
            "the balances could not be verified within {seconds} s"
        ))),
        None => anyhow::bail!(
            "the balances differ from what the bot expects, {seconds} s after its last event; dead letters and the log of \
             tiris-ingest tell why"
        ),
    }
}

async fn ask(client: &ApiClient, expected: &[&Purse]) -> anyhow::Result<Vec<Account>> {
    let mut answers = Vec::with_capacity(expected.len());
    for purse in expected {
        answers.push(api::account(client, purse.id).await?);
    }
    Ok(answers)
}

fn matches_all(expected: &[&Purse], answers: &[Option<Account>]) -> bool {
    expected
        .iter()
        .zip(answers)
        .all(|(purse, answer)| answer.as_ref().is_some_and(|answer| matches(purse, answer)))
}

fn matches(purse: &Purse, answer: &Account) -> bool {
    purse.balance == answer.balance
        && purse.locked == answer.locked
        && purse.postings == answer.sequence
}

fn waiting_for(
    expected: &[&Purse],
    answers: &[Option<Account>],
    trouble: Option<&anyhow::Error>,
) -> String {
    if let Some(error) = trouble {
        return format!("verifying: {error:#}");
    }
    let part = |(purse, answer): (&&Purse, &Option<Account>)| {
        let done = answer.as_ref().map_or(0, |answer| answer.sequence);
        let due = purse.postings;
        format!("{done} of {due} {} transactions", purse.symbol)
    };
    let parts: Vec<String> = expected.iter().zip(answers).map(part).collect();
    format!("verifying: {}", parts.join(", "))
}

fn table(expected: &[&Purse], answers: &[Option<Account>]) -> Table {
    let mut table = report::table(["account", "", "expected", "actual", ""]);
    for (purse, answer) in expected.iter().zip(answers) {
        let mut row = |what: &str, expected: String, figure: fn(&Account) -> String| {
            let actual = answer.as_ref().map(figure);
            let mark = if actual.as_ref() == Some(&expected) {
                "equal"
            } else {
                "DIFFERENT"
            };
            let actual = actual.unwrap_or_else(|| "no answer".to_owned());
            table.add_row([purse.symbol.as_str(), what, &expected, &actual, mark]);
        };
        row("balance", purse.balance.to_string(), |answer| {
            answer.balance.to_string()
        });
        row("locked", purse.locked.to_string(), |answer| {
            answer.locked.to_string()
        });
        row("transactions", purse.postings.to_string(), |answer| {
            answer.sequence.to_string()
        });
    }

    table
}
