//! Confirmation, tables, times and progress bars of the commands.

use anyhow::bail;
use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{BufRead, IsTerminal, Write};
use std::ops::Range;

/// Asks on the terminal whether to do `what`, unless `yes`. Returns the answer.
///
/// # Errors
/// Standard input is not a terminal.
pub(super) fn confirm(what: &str, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    let stdin = std::io::stdin();

    if !stdin.is_terminal() {
        bail!("{what}: cannot ask for confirmation without a terminal; add --yes to confirm");
    }
    eprint!("{what}? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    let agreed = matches!(answer.trim(), "y" | "Y" | "yes");
    if !agreed {
        eprintln!("nothing was changed");
    }

    Ok(agreed)
}

/// Returns a table without a header.
pub(super) fn plain_table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table
}

/// Returns a table with the columns of `header`, which are separated by `|`; those in `right` are right-aligned.
pub(super) fn table(header: &str, right: Range<usize>) -> Table {
    let mut table = plain_table();
    table.set_header(header.split('|'));
    let figures = table.column_iter_mut().skip(right.start).take(right.len());
    for column in figures {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Formats a time to the second; None is `-`.
pub(super) fn time(time: impl Into<Option<DateTime<Utc>>>) -> String {
    time.into().map_or("-".to_owned(), |time| {
        time.to_rfc3339_opts(SecondsFormat::Secs, true)
    })
}

/// Returns a progress bar; `counted` names the unit of its figures.
pub(super) fn progress_bar(length: u64, counted: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let template =
        format!("{{wide_bar}} {{human_pos}}/{{human_len}} {counted} · {{elapsed}} {{msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}
