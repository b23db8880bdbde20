//! Tests that the documentation names the tables without the free JSON column `info`, and those without its index.

use crate::book::text;
use std::collections::BTreeSet;
use tiris_testing::TestDatabase;

const DOCUMENT: &str = include_str!("../../../shared/docs/ARCHITECTURE.md");

/// Our tables that lack a part, separated by blanks.
const LACKING: &str = "
    SELECT coalesce(string_agg(c.relname, ' '), '') FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND c.relname <> 'seaql_migrations'
      AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'info') = HAS_INFO
      AND NOT EXISTS (SELECT FROM pg_indexes WHERE tablename = c.relname AND indexdef LIKE '% USING gin (info %')";

/// Returns the names in the second cells of the rows that begin with `first`.
fn named(first: &str) -> BTreeSet<String> {
    let rows = DOCUMENT.lines().skip_while(|row| !row.starts_with(first));
    let is_more = |row: &&str| row.starts_with(first) || row.starts_with("| | ");
    let cells = rows
        .take_while(is_more)
        .filter_map(|row| row.split('|').nth(2));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

async fn lacking(database: &TestDatabase, has_info: &str) -> BTreeSet<String> {
    let names = text(database, &LACKING.replace("HAS_INFO", has_info)).await;
    names.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_document_names_the_tables_without_info_and_without_its_index() {
    let database = TestDatabase::native().await.expect("a database");

    let without_info = lacking(&database, "false").await;
    let without_index = lacking(&database, "true").await;

    assert_eq!(named("| an `info` column"), without_info);
    assert_eq!(named("| a GIN index"), without_index);
}
