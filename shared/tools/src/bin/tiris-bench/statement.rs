//! The SQL of a request, from the log of the database: pgbench runs the statements of the API.

use crate::site::Bench;
use crate::stage::Database;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use tiris_tools::Population;

/// The log lines of a prepared statement and of its parameters.
const STATEMENT: &str = " LOG:  execute ";
const VALUES: &str = " DETAIL:  parameters: ";

/// Returns the last statement on `table` that `GET path` of the first user runs, with its values, as a script.
pub(crate) async fn of_request(
    bench: &Bench,
    database: &Database,
    path: &str,
    table: &str,
) -> Result<String> {
    let url = format!("{}?options[log_statement]=all", database.url);
    let api = bench.stage.start_api(&url, "warn").await?;
    let token = api.token(&Population::email(0)).await?;
    api.client(&token)?.get::<Value>(path).await?;

    let log = fs::read_to_string(bench.stage.folder.path().join("postgres/postgres.log"))?;
    let found =
        find(&log, &format!("FROM {table} ")).or_else(|| find(&log, &format!("FROM \"{table}\"")));
    found
        .with_context(|| format!("the log of PostgreSQL has no statement on {table} for {path}"))?
}

fn find(log: &str, wanted: &str) -> Option<Result<String>> {
    let lines: Vec<&str> = log.lines().collect();
    let at = lines
        .iter()
        .rposition(|line| line.contains(STATEMENT) && line.contains(wanted))?;
    let statement = lines[at].split_once(STATEMENT)?.1.split_once(": ")?.1;
    let values = lines
        .get(at + 1)
        .and_then(|line| line.split_once(VALUES))
        .map_or("", |(_, values)| values);
    Some(fill(statement, values))
}

/// Replaces the parameters by their values, the last first, because `$1` is a prefix of `$10`.
fn fill(statement: &str, values: &str) -> Result<String> {
    let mut filled = statement.to_owned();
    let values: Vec<(&str, &str)> = values
        .split(", $")
        .filter_map(|value| value.split_once(" = "))
        .collect();
    for (number, value) in values.iter().rev() {
        filled = filled.replace(&format!("${}", number.trim_start_matches('$')), value);
    }
    ensure!(
        !filled.contains('$'),
        "a parameter has no value in the log: {filled}"
    );
    Ok(format!("{filled};\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_last_statement_of_a_table_with_its_values() {
        let log = "1 [2] LOG:  execute sqlx_s_1: SELECT 1 FROM \"other\" WHERE a = $1\n\
                   1 [2] DETAIL:  parameters: $1 = '7'\n\
                   1 [2] LOG:  execute sqlx_s_2: SELECT x FROM \"mine\" WHERE a = $1 AND b = $2 LIMIT $10\n\
                   1 [2] DETAIL:  parameters: $1 = 'one', $2 = NULL, $10 = '51'\n";
        let script = find(log, "FROM \"mine\"")
            .expect("a statement")
            .expect("a script");
        assert_eq!(
            script,
            "SELECT x FROM \"mine\" WHERE a = 'one' AND b = NULL LIMIT '51';\n"
        );
        assert!(find(log, "FROM \"none\"").is_none());
    }

    #[test]
    fn rejects_a_parameter_without_a_value() {
        assert!(fill("SELECT $1 WHERE a = $2", "$1 = 'x'").is_err());
    }
}
