//! What the bot prints: how it goes while it runs, what it sent and what it expects when it ends.

use super::bot::Bot;
use super::publish::Tally;
use super::setup::Place;
use comfy_table::{CellAlignment, Table, presets};
use std::time::Duration;

/// One line while it runs.
pub(super) fn pulse(tally: &Tally, elapsed: Duration) -> String {
    let (sent, rate) = (tally.total(), events_per_second(tally.total(), elapsed));
    format!(
        "{sent} sent, {} acknowledged, {rate} events/s",
        tally.acknowledged
    )
}

/// Events a second, in whole numbers.
fn events_per_second(events: u64, elapsed: Duration) -> u128 {
    u128::from(events) * 1_000 / elapsed.as_millis().max(1)
}

/// The symbol traded.
pub(super) fn symbol(place: &Place) -> String {
    format!("{}/{}", place.stock.symbol, place.currency.symbol)
}

/// What was sent, by event type, and the balances expected from it.
pub(super) fn print(bot: &Bot, tally: &Tally, unsent: usize, elapsed: Duration) {
    let mut sent = Table::new();
    sent.load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(["event", "sent"]);
    for (subject, count) in &tally.sent {
        sent.add_row([(*subject).to_owned(), count.to_string()]);
    }
    align_right(&mut sent, 1);
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
    let mut expected = Table::new();
    expected.load_style(presets::UTF8_FULL_CONDENSED);
    expected.set_header(["account", "expected balance", "locked", "transactions"]);
    for purse in [&bot.stock, &bot.currency] {
        let figures = [
            purse.balance.to_string(),
            purse.locked.to_string(),
            purse.postings.to_string(),
        ];
        let [balance, locked, postings] = figures;
        expected.add_row([purse.symbol.clone(), balance, locked, postings]);
    }
    (1..4).for_each(|column| align_right(&mut expected, column));
    println!("{expected}");
}

fn align_right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
