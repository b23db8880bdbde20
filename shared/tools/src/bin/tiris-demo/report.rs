//! What the bot prints: how it goes while it runs, what it sent and what it expects when it ends.

use super::bot::Bot;
use super::publish::Tally;
use super::setup::Place;
use comfy_table::{CellAlignment, Table, presets};
use std::time::Duration;

/// One line while it runs.
pub(super) fn pulse(tally: &Tally, elapsed: Duration) -> String {
    let sent = tally.total();
    let rate = u128::from(sent) * 1_000 / elapsed.as_millis().max(1);
    format!(
        "{sent} sent, {} acknowledged, {rate} events/s",
        tally.acknowledged
    )
}

/// The symbol traded.
pub(super) fn symbol(place: &Place) -> String {
    format!("{}/{}", place.stock.symbol, place.currency.symbol)
}

/// What was sent, by event type, and the balances expected from it.
pub(super) fn print(bot: &Bot, tally: &Tally, unsent: usize, elapsed: Duration) {
    let mut sent = table(["event", "sent"]);
    for (subject, count) in &tally.sent {
        sent.add_row([(*subject).to_owned(), count.to_string()]);
    }
    align_right(&mut sent);
    println!(
        "{sent}\n{} in {}.{:03} s",
        pulse(tally, elapsed),
        elapsed.as_secs(),
        elapsed.subsec_millis()
    );
    if unsent > 0 {
        println!(
            "{unsent} events of the last candle were not sent, so no balances can be expected"
        );
        return;
    }

    let mut expected = table(["account", "expected balance", "locked", "transactions"]);
    for purse in [&bot.stock, &bot.currency] {
        expected.add_row([
            purse.symbol.clone(),
            purse.balance.to_string(),
            purse.locked.to_string(),
            purse.postings.to_string(),
        ]);
    }
    align_right(&mut expected);
    println!("{expected}");
}

pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(header);
    table
}

/// All columns but the first.
fn align_right(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
