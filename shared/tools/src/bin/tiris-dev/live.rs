//! Live balances in a terminal, or now and then in a log.
//!
//! Owns: asking the API and drawing. Must not know: how the stack runs.

use crate::environment::Environment;
use anyhow::Result;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tokio::time::Instant;

/// Pause between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// In a log, unchanged or not, balances are printed no more often than this.
const PRINT_INTERVAL: Duration = Duration::from_secs(10);
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// More accounts than this do not fit beside the rest on a small screen.
const ROWS: usize = 12;
/// Characters of a name that are shown: a line that wraps could not be drawn over.
const NAME_WIDTH: usize = 24;

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Tradings {
    tradings: Vec<Trading>,
}

#[derive(Deserialize)]
struct Trading {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Accounts {
    sub_accounts: Vec<Account>,
}

/// Money stays the text it came as.
#[derive(Deserialize)]
struct Account {
    trading_id: String,
    name: String,
    symbol: String,
    balance: String,
    locked: String,
    sequence: serde_json::Number,
}

/// Shows balances until the output is closed.
pub(crate) async fn show(environment: &Environment) -> Result<()> {
    tiris_runtime::tls::choose_provider();
    let client = reqwest::Client::builder()
        .timeout(REQUEST_LIMIT)
        .no_proxy()
        .build()?;
    let api = Api {
        client,
        base: format!("{}/v1", environment.get("API_URL")),
        token: environment.get("TOKEN"),
    };
    let terminal = std::io::stdout().is_terminal();
    let mut drawn_lines = 0;
    let mut last = (String::new(), None::<Instant>);
    loop {
        let text = match api.balances().await {
            Ok((tradings, accounts)) => table(&tradings, &accounts),
            Err(error) => format!("  no balances now: {error:#}\n"),
        };
        let due = terminal
            || last
                .1
                .is_none_or(|printed| printed.elapsed() >= PRINT_INTERVAL);
        if text != last.0 && due {
            let erase = if terminal && drawn_lines > 0 {
                format!("\x1b[{drawn_lines}A\x1b[J")
            } else {
                String::new()
            };
            let mut output = std::io::stdout().lock();
            if write!(output, "{erase}{text}")
                .and_then(|()| output.flush())
                .is_err()
            {
                return Ok(());
            }
            drawn_lines = text.lines().count();
            last = (text, Some(Instant::now()));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

struct Api<'a> {
    client: reqwest::Client,
    base: String,
    token: &'a str,
}

impl Api<'_> {
    async fn balances(&self) -> Result<(Vec<Trading>, Vec<Account>)> {
        let tradings: Tradings = self.get("tradings").await?;
        let accounts: Accounts = self.get("sub-accounts").await?;
        Ok((tradings.tradings, accounts.sub_accounts))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let request = self
            .client
            .get(format!("{}/{path}", self.base))
            .bearer_auth(self.token);
        Ok(request
            .send()
            .await?
            .error_for_status()?
            .json::<Envelope<T>>()
            .await?
            .data)
    }
}

fn table(tradings: &[Trading], accounts: &[Account]) -> String {
    if accounts.is_empty() {
        return "  no sub-account yet\n".to_owned();
    }
    let head = ["trading", "sub-account", "balance", "locked", "postings"].map(str::to_owned);
    let row = |account: &Account| {
        let Account {
            trading_id,
            name,
            symbol,
            balance,
            locked,
            sequence,
        } = account;
        let trading = tradings.iter().find(|trading| trading.id == *trading_id);
        let cut = |name: &str| name.chars().take(NAME_WIDTH).collect::<String>();
        let name = if name == symbol {
            cut(name)
        } else {
            format!("{} ({symbol})", cut(name))
        };
        [
            trading
                .map(|trading| cut(&trading.name))
                .unwrap_or_default(),
            name,
            balance.clone(),
            locked.clone(),
            sequence.to_string(),
        ]
    };
    let rows: Vec<[String; 5]> = std::iter::once(head)
        .chain(accounts.iter().take(ROWS).map(row))
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut text = String::new();
    for [trading, name, balance, locked, postings] in &rows {
        let [w0, w1, w2, w3, w4] = widths;
        // Writing to a string cannot fail.
        writeln!(
            text,
            "  {trading:w0$}  {name:w1$}  {balance:>w2$}  {locked:>w3$}  {postings:>w4$}"
        )
        .ok();
    }
    if accounts.len() > ROWS {
        writeln!(text, "  and {} more", accounts.len() - ROWS).ok();
    }
    text
}
