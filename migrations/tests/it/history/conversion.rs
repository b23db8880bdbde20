//! Tests of the conversion between both kinds of storage.

use super::convert;
use super::long::{ROWS, long_history};
use crate::book::{count, empty, fill, run, text, timescale, value, verify};
use crate::migrate::{SCHEMA, down_past};
use tiris_migrations::{HistoryKind, convert_history, down, history, up};
use tiris_testing::TestDatabase;

const RIGHTS: &str =
    "SELECT string_agg(relname || ' ' || relacl::text, ' ' ORDER BY relname) FROM pg_class
    WHERE relname IN ('transactions', 'trading_logs', 'account_daily')";

const HORIZONS: &str = "SELECT string_agg(h::text, ' ' ORDER BY history) FROM history_horizons h";

const AVAILABLE: &str = "pg_available_extensions WHERE name = 'timescaledb'";

async fn kind(database: &TestDatabase) -> String {
    let (kind, _) = history(database.url()).await.expect("a form");
    kind
}

/// The data that a conversion must preserve.
#[derive(Debug, PartialEq)]
struct Kept {
    rows: String,
    rights: String,
    horizons: String,
}

impl Kept {
    async fn of(database: &TestDatabase) -> Self {
        Self {
            rows: text(database, ROWS).await,
            rights: text(database, RIGHTS).await,
            horizons: text(database, HORIZONS).await,
        }
    }
}

async fn granted_history() -> TestDatabase {
    let database = long_history().await;
    let grants = "GRANT SELECT, INSERT ON transactions TO pg_monitor; GRANT SELECT ON account_daily TO pg_monitor";
    run(&database, grants).await;
    database
}

#[tokio::test]
async fn without_timescaledb_a_conversion_changes_nothing() {
    if timescale().await.is_some() {
        return;
    }
    let database = granted_history().await;
    let before = Kept::of(&database).await;
    let schema = text(&database, SCHEMA).await;

    let error = convert_history(database.url(), HistoryKind::Timescale)
        .await
        .expect_err("no TimescaleDB");

    // The server may have the files of the extension without loading it.
    let installed = count(&database, AVAILABLE).await == 1;
    let reason = if installed {
        "it is not in shared_preload_libraries"
    } else {
        "this server does not offer it"
    };
    let words = tiris_migrations::words(&error);
    assert!(words.contains(reason), "{words}");
    assert_eq!(Kept::of(&database).await, before);
    assert_eq!(text(&database, SCHEMA).await, schema);
}

#[tokio::test]
async fn a_conversion_to_timescale_and_back_is_lossless() {
    if timescale().await.is_none() {
        return;
    }
    let database = granted_history().await;
    let native = Kept::of(&database).await;
    let schema = text(&database, SCHEMA).await;
    let rights = &native.rights;
    assert!(rights.contains("pg_monitor=ar/tiris_owner}"), "{rights}");

    assert!(convert(&database, HistoryKind::Timescale).await);
    let form = history(database.url()).await.expect("a form");
    assert_eq!(form, ("timescale".into(), None));
    assert!(!convert(&database, HistoryKind::Timescale).await);
    // DROP TABLE would not remove the compressed chunks.
    let compress =
        "SELECT count(compress_chunk(c)) FROM show_chunks('transactions', older_than => now()) c";
    let compressed: i64 = value(&database, compress).await;
    assert!(compressed > 5, "{compressed}");
    assert_eq!(Kept::of(&database).await, native);

    assert!(convert(&database, HistoryKind::Native).await);
    assert_eq!(Kept::of(&database).await, native);
    assert_eq!(text(&database, SCHEMA).await, schema);
    let chunks = "pg_class WHERE relname ~ '^(compress)?_hyper'";
    assert_eq!(count(&database, chunks).await, 0);
    assert!(!convert(&database, HistoryKind::Native).await);
}

#[tokio::test]
async fn a_conversion_preserves_retention() {
    let Some(database) = timescale().await else {
        return;
    };
    let partitions = "SELECT ensure_partitions(now() - interval '3 months', 3)";
    run(&database, partitions).await;
    fill(&database, "now() - interval '2 months'").await;
    let drop_logs = "SELECT drop_partitions('trading_logs', now() - interval '1 month')";
    run(&database, drop_logs).await;

    for form in [HistoryKind::Native, HistoryKind::Timescale] {
        convert(&database, form).await;

        let report = verify(&database).await;
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.transactions, 4, "{report}");
        assert_eq!(report.trading_logs, 0, "{report}");
    }
}

const EXTENSION: &str = "pg_extension WHERE extname = 'timescaledb'";

/// Converts a history to native storage and reverts the schema; returns the number of extensions left.
async fn extensions_after_reverting(database: &TestDatabase) -> i64 {
    up(database.url()).await.expect("up");
    assert_eq!(kind(database).await, "timescale");
    convert(database, HistoryKind::Native).await;
    let extensions = count(database, EXTENSION).await;
    assert_eq!(extensions, 1, "sessions still use it");

    down(database.url(), None).await.expect("down");
    count(database, EXTENSION).await
}

#[tokio::test]
async fn reverting_drops_the_extension() {
    if timescale().await.is_none() {
        return;
    }
    let database = empty().await;

    assert_eq!(extensions_after_reverting(&database).await, 0);
}

#[tokio::test]
async fn reverting_keeps_an_earlier_extension() {
    if timescale().await.is_none() {
        return;
    }
    let database = empty().await;
    let make = "SET client_min_messages = error; CREATE EXTENSION timescaledb";
    run(&database, make).await;

    assert_eq!(extensions_after_reverting(&database).await, 1);
}

#[tokio::test]
async fn the_apache_edition_is_rejected_with_a_reason() {
    if timescale().await.is_none() {
        return;
    }
    let database = empty().await;
    let name = database.url().rsplit('/').next().expect("a name");
    let apache = format!("ALTER DATABASE {name} SET timescaledb.license = 'apache'");
    run(&database, &apache).await;

    up(database.url()).await.expect("up");

    let (kind, refusal) = history(database.url()).await.expect("a form");
    assert_eq!(kind, "native");
    let refusal = refusal.expect("a reason");
    assert!(refusal.contains("Apache"), "{refusal}");
    let error = convert_history(database.url(), HistoryKind::Timescale)
        .await
        .expect_err("refused");
    let words = tiris_migrations::words(&error);
    assert!(words.contains("Apache"), "{words}");
}

#[tokio::test]
async fn only_the_command_converts_a_large_history() {
    if timescale().await.is_none() {
        return;
    }
    for (rows, expected) in [(99_999, "timescale"), (100_000, "native")] {
        let database = TestDatabase::native().await.expect("a database");
        down_past(database.url(), "m0008_timeseries").await;
        let audit = format!(
            "INSERT INTO audit_logs (id, action, resource_type) SELECT gen_random_uuid(), 'x', 'y' FROM generate_series(1, {rows})"
        );
        run(&database, &audit).await;

        up(database.url()).await.expect("up");
        assert_eq!(kind(&database).await, expected, "{rows} rows");

        convert(&database, HistoryKind::Timescale).await;
        assert_eq!(count(&database, "audit_logs").await, rows);
    }
}
