//! Statements by name: a bounded set, whatever texts are sent.
//!
//! Owns: how the name follows from the text. Must not know: who sends it, how long it takes.

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
    "oauth_identities",
    "oauth_states",
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
const OTHER: &str = "other";

/// Verb and first table, or `other` for what is neither.
pub(super) fn name_of(sql: &str) -> String {
    let mut words = sql
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    let verb = VERBS
        .iter()
        .find(|verb| verb.eq_ignore_ascii_case(first))
        .copied()
        .unwrap_or(OTHER);

    let table = |word: &str| TABLES.iter().find(|table| **table == word);
    let mut before = first;
    for word in words {
        let names_one = ["from", "into", "update", "join"]
            .iter()
            .any(|lead| lead.eq_ignore_ascii_case(before));
        if let Some(table) = table(word).filter(|_| names_one) {
            return format!("{verb} {table}");
        }
        before = word;
    }

    verb.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_named_by_its_verb_and_first_table() {
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
