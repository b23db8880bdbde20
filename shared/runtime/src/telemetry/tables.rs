//! Names of statements for metrics and spans: a bounded set, whatever SQL is sent.

/// The tables of the schema; a test compares them with it.
pub const TABLES: &[&str] = &[
    "audit_logs",
    "bare_publishers",
    "bots",
    "dead_letters",
    "exchange_bindings",
    "history_horizons",
    "holds",
    "idempotency_keys",
    "ingest_lanes",
    "ingest_workers",
    "lane_detours",
    "oauth_identities",
    "oauth_states",
    "orders",
    "processed_events",
    "replay_jobs",
    "seaql_migrations",
    "sessions",
    "sub_accounts",
    "trading_logs",
    "tradings",
    "transactions",
    "users",
];
const VERBS: [&str; 7] = [
    "select", "insert", "update", "delete", "with", "commit", "rollback",
];
/// The words before the name of a table.
const LEADS: [&str; 4] = ["from", "into", "update", "join"];

/// Returns the verb, `other` when it is not listed, and the first table.
pub(super) fn name_of(sql: &str) -> String {
    let mut words = sql
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    let verb = VERBS.iter().find(|verb| verb.eq_ignore_ascii_case(first));
    let verb = verb.copied().unwrap_or("other");

    let mut previous = first;
    let table = words.find(|word| {
        let lead = std::mem::replace(&mut previous, word);
        TABLES.contains(word) && LEADS.iter().any(|known| known.eq_ignore_ascii_case(lead))
    });
    match table {
        Some(table) => format!("{verb} {table}"),
        None => verb.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_statement_by_verb_and_first_table() {
        let named = [
            (
                "SELECT \"users\".\"id\" FROM \"users\" WHERE id = $1",
                "select users",
            ),
            (
                "INSERT INTO transactions (id) SELECT * FROM UNNEST($1::uuid[])",
                "insert transactions",
            ),
            (
                "UPDATE sub_accounts a SET balance = n.balance FROM UNNEST($1) AS n",
                "update sub_accounts",
            ),
            (
                "WITH gone AS (DELETE FROM holds RETURNING 1) SELECT count(*) FROM gone",
                "with holds",
            ),
            ("SELECT users FROM invented", "select"),
            ("COMMIT", "commit"),
            ("GRANT ALL ON x TO y", "other"),
            ("", "other"),
        ];

        for (sql, name) in named {
            assert_eq!(name_of(sql), name, "{sql}");
        }
    }
}
