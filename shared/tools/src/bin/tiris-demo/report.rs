//! The report of a run: the events sent, the balances expected from them, and their comparison with the API.

use crate::account::Account;
use crate::bot::Bot;
use crate::progress::Progress;
use crate::publish::Tally;
use anyhow::{Result, bail};
use comfy_table::{CellAlignment, Table};
use std::time::Duration;
use tiris_tools::{ApiClient, table};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Pause between two requests.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Prints the events sent, by event type, and the expected balances.
pub(crate) fn print(bot: &Bot, tally: &Tally, unsent: usize, elapsed: Duration) {
    let mut sent = table(["event", "sent"]);
    for (subject, count) in &tally.sent {
        sent.add_row([*subject, &count.to_string()]);
    }
    align_right(&mut sent);
    let seconds = elapsed.as_secs();
    let millis = elapsed.subsec_millis();
    println!(
        "{sent}\n{} in {seconds}.{millis:03} s",
        tally.summary(elapsed)
    );
    if unsent > 0 {
        println!(
            "{unsent} events of the last candle were not sent, so the expected balances are unknown"
        );
        return;
    }

    let mut expected = table(["account", "expected balance", "locked", "transactions"]);
    for account in [&bot.stock, &bot.currency] {
        let [balance, locked, transactions] = figures(account).map(|(_, figure)| figure);
        expected.add_row([account.symbol.clone(), balance, locked, transactions]);
    }
    align_right(&mut expected);
    println!("{expected}");
}

/// Right-aligns all columns but the first.
fn align_right(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Waits until the API reports the expected accounts, at most `timeout`, prints both, and fails when they differ.
pub(crate) async fn verify(
    client: &ApiClient,
    expected: &[&Account],
    timeout: Duration,
    stop: &CancellationToken,
) -> Result<()> {
    let mut progress = Progress::new(None);
    let deadline = Instant::now() + timeout;
    let total: i64 = expected.iter().map(|account| account.sequence).sum();
    let mut actual: Vec<Account> = Vec::new();
    let failure = loop {
        let failure = match fetch(client, expected).await {
            Ok(accounts) => {
                actual = accounts;
                None
            }
            Err(error) => Some(error),
        };
        if is_equal(expected, &actual) || Instant::now() >= deadline {
            break failure;
        }

        progress.show(match failure {
            Some(error) => format!("verifying: {error:#}"),
            None => {
                let booked: i64 = actual.iter().map(|account| account.sequence).sum();
                format!("verifying: {booked} of {total} transactions")
            }
        });
        let pause = stop.run_until_cancelled(tokio::time::sleep(POLL_INTERVAL));
        if pause.await.is_none() {
            bail!("stopped before the balances were verified");
        }
    };
    drop(progress);

    println!("{}", comparison(expected, &actual));
    if is_equal(expected, &actual) {
        println!("verified: the API reports exactly the expected balances");
        return Ok(());
    }
    let seconds = timeout.as_secs();
    match failure {
        Some(error) => {
            Err(error.context(format!("the balances were not verified within {seconds} s")))
        }
        None => bail!(
            "the balances differ from the expected ones {seconds} s after the last event; see the dead letters and the \
             log of tiris-ingest"
        ),
    }
}

async fn fetch(client: &ApiClient, expected: &[&Account]) -> Result<Vec<Account>> {
    let mut accounts = Vec::with_capacity(expected.len());
    for account in expected {
        let path = format!("/v1/sub-accounts/{}", account.id);
        accounts.push(client.get(&path).await?);
    }
    Ok(accounts)
}

fn figures(account: &Account) -> [(&'static str, String); 3] {
    [
        ("balance", account.balance.to_string()),
        ("locked", account.locked.to_string()),
        ("transactions", account.sequence.to_string()),
    ]
}

fn is_equal(expected: &[&Account], actual: &[Account]) -> bool {
    let expected = expected.iter().map(|account| figures(account));
    expected.eq(actual.iter().map(figures))
}

fn comparison(expected: &[&Account], actual: &[Account]) -> Table {
    let mut table = table(["account", "", "expected", "actual", ""]);
    for (index, account) in expected.iter().enumerate() {
        let actual = actual.get(index).map(figures);
        for (row, (name, expected)) in figures(account).iter().enumerate() {
            let actual = actual.as_ref().map_or("no answer", |actual| &actual[row].1);
            let mark = if actual == expected {
                "equal"
            } else {
                "DIFFERENT"
            };
            table.add_row([&account.symbol, *name, expected, actual, mark]);
        }
    }
    table
}
