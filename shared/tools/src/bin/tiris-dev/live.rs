//! Live balances in a terminal, or now and then in a log.
//!
//! Owns: asking the API and drawing. Must not know: how the stack runs.

use crate::environment::Environment;
use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::Deserialize;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tiris_tools::ApiClient;
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
    let client = ApiClient::new(
        environment.get("API_URL"),
        environment.get("TOKEN"),
        REQUEST_LIMIT,
    )?;
    let mut screen = Screen::default();

    loop {
        let text = match balances(&client).await {
            Ok(text) => text,
            Err(error) => format!("  no balances now: {error:#}\n"),
        };
        if screen.draw(text).is_err() {
            return Ok(());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// What was printed last.
#[derive(Default)]
struct Screen {
    text: String,
    printed: Option<Instant>,
}

impl Screen {
    /// Draws over the last text in a terminal; in a log prints it when it is due.
    fn draw(&mut self, text: String) -> std::io::Result<()> {
        let mut output = std::io::stdout().lock();
        let is_terminal = output.is_terminal();
        let is_recent = |printed: Instant| printed.elapsed() < PRINT_INTERVAL;
        if text == self.text || (!is_terminal && self.printed.is_some_and(is_recent)) {
            return Ok(());
        }

        let lines = self.text.lines().count();
        if is_terminal && lines > 0 {
            write!(output, "\x1b[{lines}A\x1b[J")?;
        }
        write!(output, "{text}")?;
        output.flush()?;
        self.text = text;
        self.printed = Some(Instant::now());
        Ok(())
    }
}

async fn balances(client: &ApiClient) -> Result<String> {
    let tradings: Tradings = client.get("/v1/tradings").await?;
    let accounts: Accounts = client.get("/v1/sub-accounts").await?;
    Ok(table(&tradings.tradings, &accounts.sub_accounts))
}

fn table(tradings: &[Trading], accounts: &[Account]) -> String {
    if accounts.is_empty() {
        return "  no sub-account yet\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["trading", "sub-account", "balance", "locked", "postings"]);
    for account in accounts.iter().take(ROWS) {
        table.add_row(row(tradings, account));
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }

    let mut text: String = table
        .lines()
        .map(|line| format!(" {}\n", line.trim_end()))
        .collect();
    if accounts.len() > ROWS {
        text.push_str(&format!("  and {} more\n", accounts.len() - ROWS));
    }
    text
}

fn row(tradings: &[Trading], account: &Account) -> [String; 5] {
    let cut = |name: &str| name.chars().take(NAME_WIDTH).collect::<String>();
    let mut trading = tradings.iter();
    let trading = trading.find(|trading| trading.id == account.trading_id);
    let mut name = cut(&account.name);
    if account.name != account.symbol {
        name.push_str(&format!(" ({})", account.symbol));
    }

    [
        trading
            .map(|trading| cut(&trading.name))
            .unwrap_or_default(),
        name,
        account.balance.clone(),
        account.locked.clone(),
        account.sequence.to_string(),
    ]
}
