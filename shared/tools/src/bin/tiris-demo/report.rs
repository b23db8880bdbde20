//! The report of a run: the events sent and the balances expected from them.

use crate::bot::Bot;
use crate::publish::Tally;
use comfy_table::{CellAlignment, Table};
use std::time::Duration;
use tiris_tools::table;

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
        expected.add_row([
            account.symbol.clone(),
            account.balance.to_string(),
            account.locked.to_string(),
            account.sequence.to_string(),
        ]);
    }
    align_right(&mut expected);
    println!("{expected}");
}

/// All columns but the first.
fn align_right(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
