//! Tests of up, down and status, also repeated and concurrent.

use crate::book::{count, empty, filled, run, text, try_run, value};
use tiris_migrations::{LATEST, down, status, up};
use tiris_testing::TestDatabase;

/// Selects the whole schema as one text, without the chunk numbers of TimescaleDB.
pub(crate) const SCHEMA: &str = "
    SELECT string_agg(regexp_replace(line, '_[0-9]+_[0-9]+_chunk', '_chunk', 'g'), E'\\n'
        ORDER BY regexp_replace(line, '_[0-9]+_[0-9]+_chunk', '_chunk', 'g')) FROM (
        SELECT format('%s.%s %s %s %s', table_name, column_name, udt_name, is_nullable, column_default)
        FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
        UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = oid AND deptype = 'e')
        UNION ALL SELECT format('%s %s', relname, regexp_replace(pg_get_viewdef(oid), '[0-9]+', 'n', 'g')) FROM pg_class
            WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace
        UNION ALL SELECT extname FROM pg_extension
        UNION ALL SELECT name FROM exchange_bindings WHERE kind = 'public'
    ) AS lines (line)";

const TABLES: &str = "pg_tables WHERE schemaname = 'public' AND tablename <> 'seaql_migrations'";

#[tokio::test]
async fn up_applies_everything_once() {
    let database = empty().await;

    let first = up(database.url()).await.expect("first");
    let second = up(database.url()).await.expect("second");

    assert_eq!(first[0], "m0001_people_and_accounts");
    assert_eq!(first.last().map(String::as_str), Some(LATEST));
    assert_eq!(second, Vec::<String>::new());
    let newest = text(&database, "SELECT max(version) FROM seaql_migrations").await;
    assert_eq!(newest, LATEST);
}

#[tokio::test]
async fn concurrent_runs_apply_every_migration_once() {
    let database = empty().await;
    let url = database.url();

    let (a, b, c, d) = tokio::join!(up(url), up(url), up(url), up(url));

    let mut applied = [a, b, c, d].map(|outcome| outcome.expect("every one succeeds").len());
    applied.sort_unstable();
    assert_eq!(applied[..3], [0, 0, 0]);
    let rows = count(&database, "seaql_migrations").await;
    assert_eq!(applied[3], usize::try_from(rows).expect("small"));
}

#[tokio::test]
async fn concurrent_up_and_down_leave_a_complete_schema_or_none() {
    let database = empty().await;
    let url = database.url();

    let (a, b, c, d) = tokio::join!(up(url), down(url, None), up(url), down(url, None));
    for outcome in [a, b, c, d] {
        outcome.expect("each waits for the lock");
    }

    let states = status(url).await.expect("status");
    let is_pending = states.iter().any(|state| state.applied_at.is_none());
    let tables = count(&database, TABLES).await;
    assert_eq!(is_pending, tables == 0, "{tables} tables");
}

async fn down_and_up_restore_the_schema(database: &TestDatabase) {
    let before = text(database, SCHEMA).await;

    let reverted = down(database.url(), None).await.expect("down");
    assert_eq!(reverted.first().map(String::as_str), Some(LATEST));
    assert_eq!(count(database, TABLES).await, 0);
    let functions = "pg_proc WHERE pronamespace = 'public'::regnamespace";
    assert_eq!(count(database, functions).await, 0);

    let mut applied = up(database.url()).await.expect("up");
    applied.reverse();
    assert_eq!(applied, reverted);
    assert_eq!(text(database, SCHEMA).await, before);
}

#[tokio::test]
async fn an_empty_schema_goes_down_and_up_again() {
    let database = TestDatabase::new().await.expect("a database");
    down_and_up_restore_the_schema(&database).await;
}

#[tokio::test]
async fn a_filled_database_goes_down_and_up_again() {
    down_and_up_restore_the_schema(&filled().await).await;
}

async fn step_down(database: &TestDatabase, steps: usize) {
    let limit = u32::try_from(steps).expect("few");
    let reverted = down(database.url(), Some(limit)).await.expect("down");
    assert_eq!(reverted.len(), steps, "{reverted:?}");
}

#[tokio::test]
async fn the_newest_migration_can_be_reverted_repeatedly() {
    let database = filled().await;
    let newest = text(&database, SCHEMA).await;
    step_down(&database, 1).await;
    let older = text(&database, SCHEMA).await;

    up(database.url()).await.expect("up");
    assert_eq!(text(&database, SCHEMA).await, newest);
    step_down(&database, 1).await;
    assert_eq!(text(&database, SCHEMA).await, older);
}

#[tokio::test]
async fn every_number_of_steps_down_can_be_applied_again() {
    let database = filled().await;
    let all = status(database.url()).await.expect("status").len();
    for steps in 1..=all {
        let before = text(&database, SCHEMA).await;

        step_down(&database, steps).await;
        let applied = up(database.url()).await.expect("up");

        assert_eq!(applied.len(), steps, "{applied:?}");
        assert_eq!(text(&database, SCHEMA).await, before, "{steps} steps");
    }
}

/// Reverts a migration and all after it.
pub(crate) async fn down_past(url: &str, name: &str) {
    let states = status(url).await.expect("status");
    let steps = states.iter().skip_while(|state| state.name != name).count();
    let steps = u32::try_from(steps).expect("few");
    down(url, Some(steps)).await.expect("down");
}

#[tokio::test]
async fn reverting_the_public_bindings_keeps_their_tradings() {
    let database = filled().await;

    down_past(database.url(), "m0004_public_exchange_bindings").await;

    let kept = "tradings WHERE name = 'paper' AND exchange_binding_id IS NULL";
    assert_eq!(count(&database, kept).await, 1);
}

#[tokio::test]
async fn one_of_two_identities_keeps_a_shared_openid() {
    let database = filled().await;
    down_past(database.url(), "m0006_one_identity_per_openid").await;
    let twice = "INSERT INTO oauth_identities (id, user_id, provider, subject, openid, unionid) VALUES \
        (id(1), id(1), 'wechat', 'u', 'o', 'u'), (id(2), id(2), 'wechat', 'o', 'o', NULL)";
    run(&database, twice).await;

    up(database.url()).await.expect("up");

    let kept = "SELECT array_agg(subject || ' ' || coalesce(openid, '-') ORDER BY subject) FROM oauth_identities";
    let kept: Vec<String> = value(&database, kept).await;
    assert_eq!(kept, ["o o", "u -"]);
    let third = "INSERT INTO oauth_identities (id, user_id, provider, subject, openid) VALUES (id(3), id(1), 'wechat', 'x', 'o')";
    let third = try_run(&database, third).await;
    third.expect_err("an openid has one identity");
}

#[tokio::test]
async fn a_symbol_of_the_older_schema_stays_beside_longer_ones() {
    let database = filled().await;
    down_past(database.url(), "m0012_symbols").await;
    run(&database, "UPDATE sub_accounts SET symbol = '{A(~)^}'").await;

    up(database.url()).await.expect("up");

    run(&database, "UPDATE sub_accounts SET balance = balance").await;
    for (symbol, is_accepted) in [
        ("repeat('币', 64)", true),
        ("repeat('币', 65)", false),
        ("''", false),
        ("'A B'", false),
        ("E'A\\n'", false),
    ] {
        let set = format!("UPDATE sub_accounts SET symbol = {symbol}");
        let outcome = try_run(&database, &set).await;
        assert_eq!(outcome.is_ok(), is_accepted, "{symbol}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_not_changed() {
    let database = TestDatabase::new().await.expect("a database");
    let future = "INSERT INTO seaql_migrations VALUES ('m9999_future', 0)";
    run(&database, future).await;

    let error = up(database.url()).await.expect_err("unknown migration");

    let error = format!("{error:#}");
    assert!(error.contains("m9999_future"), "{error}");
    let states = status(database.url()).await.expect("status");
    assert_eq!(states.last().map(|state| state.known), Some(false));
}

#[tokio::test]
async fn status_changes_nothing() {
    let database = empty().await;

    let states = status(database.url()).await.expect("status");

    for state in states {
        assert!(state.known, "{}", state.name);
        assert!(state.applied_at.is_none(), "{}", state.name);
    }
    let made = "SELECT to_regclass('seaql_migrations') IS NOT NULL";
    assert!(!value::<bool>(&database, made).await);
}
