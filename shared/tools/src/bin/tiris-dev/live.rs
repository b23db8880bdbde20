//! Live balances in a terminal, or now and then in a log.

use crate::environment::Environment;
use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tiris_tools::ApiClient;
use tokio::time::Instant;

/// Pause between two requests.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// A log gets changed balances at most this often.
const PRINT_INTERVAL: Duration = Duration::from_secs(10);
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// More accounts do not fit a small screen.
const ROWS_MAX: usize = 12;
/// Shown characters of a name: a wrapped line could not be drawn over.
const NAME_WIDTH: usize = 24;

#[derive(Deserialize)]
struct List<T> {
    #[serde(rename = "tradings", alias = "sub_accounts")]
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Trading {
    id: String,
    name: String,
}

/// Money stays text.
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
    let url = environment.get("API_URL");
    let client = ApiClient::new(url, environment.get("TOKEN"), REQUEST_LIMIT)?;
    let mut screen = Screen::default();

    loop {
        let text = balances(&client)
            .await
            .unwrap_or_else(|error| format!("  no balances now: {error:#}\n"));
        if screen.draw(text).is_err() {
            return Ok(());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The last printed text.
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
    let tradings: List<Trading> = client.get("/v1/tradings").await?;
    let accounts: List<Account> = client.get("/v1/sub-accounts").await?;
    let names = tradings.items.into_iter();
    let names = names.map(|trading| (trading.id, trading.name)).collect();
    Ok(table(&names, &accounts.items))
}

/// Returns a table of accounts; `tradings` are names by id.
fn table(tradings: &HashMap<String, String>, accounts: &[Account]) -> String {
    if accounts.is_empty() {
        return "  no sub-account yet\n".to_owned();
    }
    let cut = |name: &String| name.chars().take(NAME_WIDTH).collect::<String>();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["trading", "sub-account", "balance", "locked", "postings"]);
    for account in accounts.iter().take(ROWS_MAX) {
        let mut name = cut(&account.name);
        if account.name != account.symbol {
            name.push_str(&format!(" ({})", account.symbol));
        }
        table.add_row([
            tradings
                .get(&account.trading_id)
                .map(cut)
                .unwrap_or_default(),
            name,
            account.balance.clone(),
            account.locked.clone(),
            account.sequence.to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }

    let lines = table.lines();
    let mut text: String = lines
        .map(|line| format!(" {}\n", line.trim_end()))
        .collect();
    if accounts.len() > ROWS_MAX {
        text.push_str(&format!("  and {} more\n", accounts.len() - ROWS_MAX));
    }
    text
}
