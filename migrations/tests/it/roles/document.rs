//! Tests that the documentation shows the list of the rights.

use std::fmt::Write;
use tiris_migrations::roles::rights::{FUNCTIONS, Right, Role, TABLES};

const DOCUMENT: &str = include_str!("../../../../shared/docs/DATABASE.md");

fn shown(rights: &[Right]) -> String {
    let shown = rights.iter().map(|right| {
        let privilege = right.privilege().to_lowercase();
        match right.columns() {
            [] => privilege,
            columns => format!("{privilege} of `{}`", columns.join("`, `")),
        }
    });
    let shown: Vec<String> = shown.collect();
    shown.join(", ")
}

fn table() -> String {
    let mut table =
        "| table | `tiris_api` | `tiris_ingest` | `tiris_read` |\n|---|---|---|---|\n".to_owned();
    for row in TABLES {
        let [api, ingest, read] = Role::ALL.map(|role| shown(row.of(role)));
        writeln!(table, "| `{}` | {api} | {ingest} | {read} |", row.table).expect("a text");
    }
    for row in FUNCTIONS {
        let [api, ingest, read] = Role::ALL.map(|role| match row.callers.contains(&role) {
            true => "call",
            false => "",
        });
        writeln!(
            table,
            "| `{}()` | {api} | {ingest} | {read} |",
            row.function
        )
        .expect("a text");
    }
    // An empty cell has one space.
    table.replace("|  |", "| |").replace("|  |", "| |")
}

#[test]
fn the_document_lists_all_rights() {
    let table = table();
    assert!(
        DOCUMENT.contains(&table),
        "put this table into shared/docs/DATABASE.md:\n\n{table}"
    );
}
