//! A small set of valid books, and helpers to corrupt them.

use indicatif::ProgressBar;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tiris_migrations::Report;
use tiris_testing::TestDatabase;

/// Users 1 and 2; user 1 has trading 11 with accounts 111 (ETH), 112 (BTC) and 113 (never used), user 2 trading 21
/// with account 211. Log 1 deposits 100 BTC, log 2 buys 2 ETH for 40.5 BTC, log 3 is a signal, log 4 deposits for
/// user 2. `AT` stands for the timestamp, `id(n)` for the UUID of row n.
const BOOK: &str = "
INSERT INTO users (id, username) VALUES (id(1), 'one'), (id(2), 'two');
INSERT INTO sessions (id, user_id, refresh_token_hash, expires_at) VALUES (id(1), id(1), 'x', now() + interval '1 day');
INSERT INTO exchange_bindings (id, user_id, name, exchange_type, kind) VALUES (id(2), id(2), 'own', 'kraken', 'private');
INSERT INTO tradings (id, user_id, name, type, exchange_binding_id) VALUES
    (id(11), id(1), 'paper', 'paper', '01900000-0000-7000-8000-000000000001'),
    (id(21), id(2), 'real', 'real', id(2));
INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol, balance, locked, sequence, created_at) VALUES
    (id(111), id(1), id(11), 'stock', 'ETH', 2, 0, 1, AT),
    (id(112), id(1), id(11), 'cash', 'BTC', 59.5, 10, 2, AT),
    (id(113), id(1), id(11), 'unused', 'BNB', 0, 0, 0, AT),
    (id(211), id(2), id(21), 'cash', 'BTC', 5, 0, 1, AT);
DO $$ BEGIN
    IF to_regclass('orders') IS NULL THEN
        INSERT INTO holds (sub_account_id, order_id, amount) VALUES (id(112), 'o1', 9.5), (id(112), '', 0.5);
    ELSE
        INSERT INTO orders (id, user_id, trading_id, order_id, ordinal, status, first_event_time, last_event_time,
            created_at, updated_at)
        VALUES (id(6), id(1), id(11), 'o1', 0, 'unknown', AT, AT, AT, AT);
        INSERT INTO holds (sub_account_id, trading_id, order_id, amount) VALUES
            (id(112), id(11), 'o1', 9.5), (id(112), id(11), '', 0.5);
    END IF;
END $$;
INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, transaction_id, postings, event_time, type, source) VALUES
    (id(1), AT, id(1), id(11), id(112), id(1), 1, AT, 'deposit', 'manual'),
    (id(2), AT, id(1), id(11), NULL, NULL, 2, AT, 'long', 'bot'),
    (id(3), AT, id(1), id(11), NULL, NULL, 0, AT, 'signal', 'bot'),
    (id(4), AT, id(2), id(21), id(211), id(4), 1, AT, 'deposit', 'manual');
INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, amount,
    closing_balance, sequence, trading_log_id) VALUES
    (id(1), AT, id(1), id(11), id(112), AT, 'credit', 'deposit', 100, 100, 1, id(1)),
    (id(2), AT, id(1), id(11), id(111), AT, 'credit', 'long', 2, 2, 1, id(2)),
    (id(3), AT, id(1), id(11), id(112), AT, 'debit', 'long', 40.5, 59.5, 2, id(2)),
    (id(4), AT, id(2), id(21), id(211), AT, 'credit', 'deposit', 5, 5, 1, id(4));
INSERT INTO dead_letters (id, stream, lane, stream_created_at, stream_seq, subject, payload, class, code, reason, status, published_at) VALUES
    (id(1), 'TRADING', 0, 1, 1, 's', 'p', 'malformed', 'C', 'r', 'open', now()),
    (id(2), 'TRADING', 0, 1, 2, 's', 'p', 'malformed', 'C', 'r', 'discarded', now());
INSERT INTO ingest_lanes (stream, lane, epoch, owner, lease_until, cursor, stream_created_at) VALUES
    ('TRADING', 0, 7, id(1), now(), 2, 1);
INSERT INTO audit_logs (id, timestamp, action, resource_type) VALUES (id(1), AT, 'test', 'user');
";

/// Returns the UUID of row `n`.
pub(crate) fn id(n: u32) -> String {
    format!("00000000-0000-7000-8000-{n:012}")
}

/// Runs SQL in which `id(n)` stands for [`id`].
pub(crate) async fn try_run(database: &TestDatabase, sql: &str) -> sqlx::Result<()> {
    let mut text = String::new();
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once("id(") {
        let (number, after) = after.split_once(')').expect("id(n)");
        text.push_str(before);
        match number.parse() {
            Ok(number) => text.push_str(&format!("'{}'", id(number))),
            Err(_) => text.push_str(&format!("id({number})")),
        }
        rest = after;
    }
    text.push_str(rest);

    let mut connection = PgConnection::connect(database.url()).await?;
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// Runs SQL that must succeed.
pub(crate) async fn run(database: &TestDatabase, sql: &str) {
    try_run(database, sql).await.expect(sql);
}

/// Runs SQL without triggers and foreign keys.
pub(crate) async fn spoil(database: &TestDatabase, sql: &str) {
    run(
        database,
        &format!("SET session_replication_role = replica; {sql}"),
    )
    .await;
}

/// Fills a database with the books; `at` is the SQL expression of all timestamps.
pub(crate) async fn fill(database: &TestDatabase, at: &str) {
    let book = BOOK
        .replace("AT,", &format!("{at},"))
        .replace("AT)", &format!("{at})"));
    run(database, &book).await;
}

/// Creates a database with the schema and the books.
pub(crate) async fn filled() -> TestDatabase {
    let database = TestDatabase::new().await.expect("a database");
    fill(&database, "now()").await;
    database
}

/// Creates a database without the schema.
pub(crate) async fn empty() -> TestDatabase {
    TestDatabase::empty().await.expect("a database")
}

/// Creates a database with TimescaleDB; `None` when the server does not have it.
pub(crate) async fn timescale() -> Option<TestDatabase> {
    TestDatabase::timescale().await.expect("a database")
}

/// Returns one value of a query, on a new connection, because dropping an extension breaks older ones.
pub(crate) async fn value<T>(database: &TestDatabase, sql: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    let connection = PgConnection::connect(database.url()).await;
    let mut connection = connection.expect("a connection");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(&mut connection)
        .await
        .expect(sql)
}

pub(crate) async fn text(database: &TestDatabase, sql: &str) -> String {
    value(database, sql).await
}

/// Counts the rows of a table, or of what follows `FROM`.
pub(crate) async fn count(database: &TestDatabase, from: &str) -> i64 {
    value(database, &format!("SELECT count(*) FROM {from}")).await
}

/// Verifies the books.
pub(crate) async fn verify(database: &TestDatabase) -> Report {
    tiris_migrations::verify(database.url(), &ProgressBar::hidden())
        .await
        .expect("the check itself works")
}
