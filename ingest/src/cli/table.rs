//! Tables and times as the commands print them.

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::ops::Range;

/// A table whose columns have the names in `header`, divided by `|`, of which those in `right` are figures.
pub(super) fn table(header: &str, right: Range<usize>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.split('|'));
    let figures = table.column_iter_mut().skip(right.start).take(right.len());
    for column in figures {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A moment to the second, `-` when there is none.
pub(super) fn time(time: impl Into<Option<DateTime<Utc>>>) -> String {
    time.into().map_or("-".to_owned(), |time| {
        time.to_rfc3339_opts(SecondsFormat::Secs, true)
    })
}
