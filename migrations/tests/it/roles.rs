//! Tests of the roles: what each may do and may not, and that the database grants what the list says.

mod document;
mod grants;
mod installations;

use crate::book::{count, fill, id, run, text};
use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tiris_migrations::roles::rights::Role;
use tiris_testing::TestDatabase;

/// Insufficient privilege.
const DENIED: &str = "42501";
const INVALID_PARAMETER: &str = "22023";
const WRONG_STATE: &str = "55000";

/// What no role may do.
const DENIED_TO_ALL: &[&str] = &[
    "UPDATE transactions SET info = '{}'",
    "DELETE FROM transactions",
    "TRUNCATE transactions",
    "LOCK TABLE transactions IN ACCESS EXCLUSIVE MODE",
    "ALTER TABLE transactions DISABLE TRIGGER ALL",
    "ALTER TABLE transactions ADD COLUMN more text",
    "DROP TABLE transactions",
    "UPDATE trading_logs SET info = '{}'",
    "DELETE FROM trading_logs",
    "TRUNCATE trading_logs",
    "UPDATE audit_logs SET info = '{}'",
    "DELETE FROM audit_logs",
    "TRUNCATE audit_logs",
    "INSERT INTO audit_logs (id, action, resource_type) VALUES (gen_random_uuid(), 'forged', 'user')",
    "DELETE FROM sub_accounts",
    "DELETE FROM tradings",
    "DELETE FROM orders",
    "DELETE FROM users",
    "TRUNCATE holds",
    "UPDATE seaql_migrations SET applied_at = 0",
    "UPDATE history_horizons SET since = now()",
    "DROP FUNCTION refuse_change() CASCADE",
    "CREATE OR REPLACE FUNCTION assert_fresh(batch_timestamp timestamptz) RETURNS void LANGUAGE sql AS 'SELECT'",
    "CREATE TABLE own (id uuid)",
    "CREATE TEMPORARY TABLE own (id uuid)",
    "CREATE SCHEMA own",
    "CREATE INDEX ON users (info)",
    "CREATE ROLE own",
    "SET session_replication_role = replica",
    "SET ROLE tiris_owner",
    "COPY users TO '/tmp/users'",
    "SELECT ensure_partitions(now() + interval '1 year', 24)",
    "SELECT drop_partitions('transactions', now() + interval '1 year')",
];

/// What a role may do and what it may not, besides [`DENIED_TO_ALL`].
struct Case {
    role: Role,
    permitted: &'static [&'static str],
    denied: &'static [&'static str],
}

const AUDIT: &str = "SELECT record_audit(gen_random_uuid(), id(1), NULL, NULL, NULL, NULL, 'test', 'user', NULL, NULL, NULL)";
const LOCK_USER: &str = "SELECT status FROM users WHERE id = id(1) FOR SHARE";
const POST: &str = "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, \
    reason, amount, closing_balance, sequence, trading_log_id) \
    VALUES (id(9), now(), id(1), id(11), id(112), now(), 'credit', 'deposit', 1, 60.5, 3, id(9))";
const BALANCE: &str =
    "UPDATE sub_accounts SET balance = balance + 1, updated_at = now() WHERE id = id(112)";

const CASES: [Case; 3] = [
    Case {
        role: Role::Api,
        permitted: &[
            AUDIT,
            LOCK_USER,
            POST,
            BALANCE,
            "UPDATE users SET role = 'admin' WHERE id = id(1)",
            "UPDATE sessions SET revoked_at = now()",
            "SELECT refresh_token_hash FROM sessions",
            "SELECT * FROM account_history(id(112), now() - interval '1 day', now(), 'hour')",
            "SELECT * FROM account_daily",
            "SELECT delete_trading_log(id(3), now())",
        ],
        denied: &[
            "UPDATE sub_accounts SET user_id = id(2)",
            "UPDATE tradings SET type = 'paper'",
            "UPDATE ingest_lanes SET cursor = 0",
            "INSERT INTO ingest_workers (id, owner_token, alive_until, version, host) VALUES (id(1), id(1), now(), '', '')",
            "DELETE FROM dead_letters",
            "SELECT upkeep_retention('transactions', interval '9 years')",
            "SELECT upkeep_partitions(3)",
            "SELECT upkeep_compression(NULL)",
        ],
    },
    Case {
        role: Role::Ingest,
        permitted: &[
            AUDIT,
            LOCK_USER,
            POST,
            BALANCE,
            "UPDATE ingest_lanes SET cursor = cursor",
            "DELETE FROM oauth_states WHERE state IN (SELECT state FROM oauth_states WHERE expires_at <= now() FOR UPDATE)",
            "DELETE FROM dead_letters WHERE closed_at < now()",
            "SELECT upkeep_partitions(3)",
            "SELECT upkeep_statistics()",
            "SELECT upkeep_retention('transactions', interval '9 years')",
        ],
        denied: &[
            "UPDATE users SET role = 'admin' WHERE id = id(1)",
            "UPDATE users SET status = 'active'",
            "INSERT INTO users (id, username) VALUES (id(9), 'nine')",
            "UPDATE sub_accounts SET user_id = id(2)",
            "UPDATE sub_accounts SET deleted_at = NULL",
            "UPDATE tradings SET status = 'deleting'",
            "INSERT INTO tradings (id, user_id, name, type) VALUES (id(9), id(1), 'nine', 'paper')",
            "SELECT refresh_token_hash FROM sessions",
            "SELECT pkce_verifier FROM oauth_states",
            "SELECT nonce FROM oauth_states",
            "SELECT body FROM idempotency_keys",
            "SELECT id FROM exchange_bindings",
            "SELECT id FROM oauth_identities",
            "SELECT id FROM audit_logs",
            "SELECT delete_trading_log(id(3), now())",
        ],
    },
    Case {
        role: Role::Read,
        permitted: &[
            "SELECT * FROM transactions",
            "SELECT * FROM audit_logs",
            "SELECT * FROM users",
            "SELECT id, name, masked_api_key FROM exchange_bindings",
            "SELECT id, user_id, revoked_at FROM sessions",
            "SELECT * FROM account_history(id(112), now() - interval '1 day', now(), 'day')",
        ],
        denied: &[
            AUDIT,
            LOCK_USER,
            POST,
            BALANCE,
            "SELECT * FROM sessions",
            "SELECT refresh_token_hash FROM sessions",
            "SELECT pkce_verifier FROM oauth_states",
            "SELECT nonce FROM oauth_states",
            "SELECT state FROM oauth_states",
            "SELECT api_key_encrypted FROM exchange_bindings",
            "SELECT api_secret_encrypted FROM exchange_bindings",
            "SELECT passphrase_encrypted FROM exchange_bindings",
            "SELECT fingerprint FROM exchange_bindings",
            "SELECT info FROM exchange_bindings",
            "SELECT access_token_encrypted FROM oauth_identities",
            "SELECT refresh_token_encrypted FROM oauth_identities",
            "SELECT body FROM idempotency_keys",
            "SELECT body_hmac FROM idempotency_keys",
            "UPDATE users SET role = 'admin'",
            "INSERT INTO users (id, username) VALUES (id(9), 'nine')",
            "DELETE FROM sessions",
            "SELECT purge_trading(id(11), 'holds', NULL, 1)",
            "SELECT upkeep_partitions(3)",
        ],
    },
];

/// A session of a role.
struct Session(PgConnection);

impl Session {
    async fn of(database: &TestDatabase, role: Role) -> Self {
        let url = database.url_as(role).expect("an address");
        Self(PgConnection::connect(&url).await.expect("a session"))
    }

    /// Runs a statement in which `id(n)` stands for the UUID of row `n`, without effect. Returns the code of its error.
    async fn try_out(&mut self, sql: &str) -> Option<String> {
        let error = self.attempt(sql).await?;
        let code = error.code().expect("a code");
        Some(code.into_owned())
    }

    async fn fail(&mut self, sql: &str) -> Box<dyn DatabaseError> {
        self.attempt(sql).await.expect(sql)
    }

    async fn attempt(&mut self, sql: &str) -> Option<Box<dyn DatabaseError>> {
        let mut sql = sql.to_owned();
        for number in [1, 2, 3, 9, 11, 21, 111, 112] {
            sql = sql.replace(&format!("id({number})"), &format!("'{}'", id(number)));
        }
        let mut transaction = self.0.begin().await.expect("a transaction");
        let error = transaction.execute(AssertSqlSafe(sql)).await.err();
        transaction.rollback().await.expect("rolled back");

        let error = error?.into_database_error();
        Some(error.expect("an error of the database"))
    }
}

#[tokio::test]
async fn each_role_may_do_only_what_it_needs() {
    for database in TestDatabase::of_each_kind().await.expect("databases") {
        fill(&database, "now()").await;
        let partition = "SELECT tableoid::regclass::text FROM transactions LIMIT 1";
        let partition = text(&database, partition).await;

        for case in CASES {
            let mut session = Session::of(&database, case.role).await;
            let name = case.role.name();
            for sql in case.permitted {
                assert_eq!(session.try_out(sql).await, None, "{name}: {sql}");
            }
            let of_partition = format!("DELETE FROM {partition}");
            let denied = DENIED_TO_ALL.iter().chain(case.denied).copied();
            for sql in denied.chain([of_partition.as_str()]) {
                let code = session.try_out(sql).await;
                assert_eq!(code.as_deref(), Some(DENIED), "{name}: {sql}");
            }
        }
    }
}

#[tokio::test]
async fn chunks_belong_to_the_owner() {
    let Some(database) = TestDatabase::timescale().await.expect("a database") else {
        return;
    };
    fill(&database, "now()").await;

    for role in Role::ALL {
        let mut session = Session::of(&database, role).await;
        for sql in [
            "SELECT drop_chunks('transactions', older_than => now() + interval '1 year')",
            "SELECT compress_chunk(c) FROM show_chunks('transactions') c",
            "SELECT remove_retention_policy('transactions')",
            "SELECT add_retention_policy('transactions', drop_after => interval '1 day')",
            "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs WHERE hypertable_name = 'transactions'",
            "SELECT delete_job(job_id) FROM timescaledb_information.jobs WHERE hypertable_name = 'transactions'",
            "CALL add_columnstore_policy('transactions', after => interval '1 day')",
        ] {
            let code = session.try_out(sql).await;
            assert_eq!(code.as_deref(), Some(DENIED), "{}: {sql}", role.name());
        }
    }
    let mut ingest = Session::of(&database, Role::Ingest).await;
    let compress = "SELECT upkeep_compression(interval '10 days')";
    assert_eq!(ingest.try_out(compress).await, None);
}

#[tokio::test]
async fn functions_of_the_owner_check_their_arguments() {
    let database = TestDatabase::new().await.expect("a database");
    fill(&database, "now()").await;
    let mut ingest = Session::of(&database, Role::Ingest).await;

    for (sql, code) in [
        (
            "SELECT upkeep_retention('users', interval '9 years')",
            INVALID_PARAMETER,
        ),
        (
            "SELECT upkeep_retention(NULL, interval '9 years')",
            INVALID_PARAMETER,
        ),
        ("SELECT upkeep_partitions(1000)", INVALID_PARAMETER),
        (
            "SELECT upkeep_compression(interval '1 day')",
            INVALID_PARAMETER,
        ),
        // It compares as eight days, and is 516 days in the future.
        (
            "SELECT upkeep_compression(interval '-1200 months 36008 days')",
            INVALID_PARAMETER,
        ),
        (
            "SELECT purge_trading(id(11), 'transactions', NULL, 9)",
            WRONG_STATE,
        ),
        (
            "SELECT purge_trading(id(21), 'sub_accounts', NULL, 9)",
            WRONG_STATE,
        ),
    ] {
        assert_eq!(ingest.try_out(sql).await.as_deref(), Some(code), "{sql}");
    }

    // Not of a real trading either, whatever its status.
    run(&database, "UPDATE tradings SET status = 'deleting'").await;
    let real = "SELECT purge_trading(id(21), 'sub_accounts', NULL, 9)";
    assert_eq!(ingest.try_out(real).await.as_deref(), Some(WRONG_STATE));
    let users = "SELECT purge_trading(id(11), 'users', NULL, 9)";
    assert_eq!(
        ingest.try_out(users).await.as_deref(),
        Some(INVALID_PARAMETER)
    );
}

#[tokio::test]
async fn ingest_cannot_drop_the_history_of_the_last_year() {
    for database in TestDatabase::of_each_kind().await.expect("databases") {
        let months = "SELECT ensure_partitions(now() - interval '15 months', 3)";
        run(&database, months).await;
        fill(&database, "now() - interval '200 days'").await;
        let mut ingest = Session::of(&database, Role::Ingest).await;

        for history in ["transactions", "trading_logs", "audit_logs"] {
            let drop = |age: &str| format!("SELECT upkeep_retention('{history}', {age})");
            for age in [
                "NULL",
                "interval '1 day'",
                "interval '364 days'",
                "interval '8759 hours'",
                "interval '-9 years'",
                // It compares as 366 days, and is 158 days in the future.
                "interval '-1200 months 36366 days'",
            ] {
                let sql = drop(age);
                let error = ingest.fail(&sql).await;
                assert_eq!(error.code().as_deref(), Some(INVALID_PARAMETER), "{sql}");
                let said = error.message();
                let why = format!("rows of {history} are kept for at least 365 days (given: ");
                assert!(said.starts_with(&why), "{said}");
            }
            for age in ["interval '8760 hours'", "interval '9 years'"] {
                let sql = drop(age);
                assert_eq!(ingest.try_out(&sql).await, None, "{sql}");
            }
        }
        assert_eq!(count(&database, "transactions").await, 4);
    }
}

#[tokio::test]
async fn a_log_that_moved_money_is_not_deleted() {
    let database = TestDatabase::new().await.expect("a database");
    fill(&database, "now()").await;
    let api = database.pool_as(Role::Api).expect("a pool");

    let delete =
        "SELECT array_agg(delete_trading_log(id, timestamp) ORDER BY id) FROM trading_logs";
    let deleted: Vec<bool> = sqlx::query_scalar(delete)
        .fetch_one(&api)
        .await
        .expect("deleted");

    // Only the signal is.
    assert_eq!(deleted, [false, false, true, false]);
}
