//! The history in both its forms: the same answers, and the way from one to the other.

use crate::book::{self, empty, fill, run, value};
use crate::migrate::{SCHEMA, down_past};
use sqlx::Row;
use tiris_migrations::{HistoryKind, convert_history, down, history, up, verify};
use tiris_testing::{TestDatabase, partitions};

/// 4000 postings on two accounts over 60 days, with odd pauses. Sequences rise with time, but for rows of one moment.
const LONG: &str = "
    INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, amount,
        closing_balance, sequence, trading_log_id)
    SELECT ('20000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
           date_trunc('hour', now(), 'UTC') - interval '60 days' + (n / 2) * interval '43 minutes', id(1), id(11),
           CASE n % 3 WHEN 0 THEN id(111)::uuid ELSE id(112)::uuid END, now(),
           CASE n % 5 WHEN 0 THEN 'debit' ELSE 'credit' END, 'x', n / 7.0 + 1, n * 1.5, 10000 + n, gen_random_uuid()
    FROM generate_series(1, 4000) n;";

/// What the whole history of both accounts is, in hours and days, with a range that ends inside of units.
const ANSWERS: &str = "
    SELECT string_agg(format('%s %s %s', account, unit, h), E'\\n' ORDER BY account, unit, h.bucket)
    FROM (VALUES ('00000000-0000-7000-8000-000000000111'::uuid), ('00000000-0000-7000-8000-000000000112'::uuid)) a (account),
        (VALUES ('hour'), ('day')) u (unit),
        account_history(account, now() - interval '50 days 7 minutes', now() - interval '2 hours', unit) h";

const VIEWS: &str = "
    SELECT string_agg(row::text, E'\\n' ORDER BY row::text)
    FROM (SELECT 'h', h.* FROM account_hourly h UNION ALL SELECT 'd', d.* FROM account_daily d) row";

const ROWS: &str = "
    SELECT md5(string_agg(row, E'\\n' ORDER BY row)) FROM (
        SELECT t::text FROM transactions t UNION ALL SELECT l::text FROM trading_logs l
        UNION ALL SELECT a::text FROM audit_logs a) rows (row)";

async fn long_history() -> TestDatabase {
    let database = TestDatabase::native().await.expect("a database");
    run(
        database.url(),
        "SELECT ensure_partitions(now() - interval '3 months', 3)",
        false,
    )
    .await
    .expect("partitions");
    fill(database.url(), "now()").await;
    run(database.url(), LONG, false).await.expect("a history");
    database
}

#[tokio::test]
async fn the_history_of_an_account_is_what_its_postings_add_up_to_hour_by_hour_and_day_by_day() {
    for database in TestDatabase::of_each_kind().await.expect("databases") {
        run(
            database.url(),
            "SELECT ensure_partitions('2026-01-01Z', 3)",
            false,
        )
        .await
        .expect("partitions");
        // The last of an hour by sequence is not the last by time.
        let postings = [
            ("2026-01-10T22:59:59.999999Z", "credit", "5", 1),
            ("2026-01-10T23:00:00Z", "debit", "1.5", 3),
            ("2026-01-10T23:30:00Z", "credit", "0.25", 2),
            ("2026-01-11T00:00:00Z", "credit", "0.000000000001", 4),
        ];
        for (at, direction, amount, sequence) in postings {
            let sql = format!(
                "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction,
                     reason, amount, closing_balance, sequence, trading_log_id)
                 VALUES (gen_random_uuid(), '{at}', id(1), id(11), id(112), now(), '{direction}', 'x', {amount},
                     {sequence}, {sequence}, id(1))"
            );
            run(database.url(), &sql, false).await.expect("booked");
        }
        for (unit, expected) in [
            (
                "hour",
                &[
                    "2026-01-10 22:00 +5 -0 1 1 1",
                    "2026-01-10 23:00 +0.25 -1.5 2 3 3",
                    "2026-01-11 00:00 +0.000000000001 -0 1 4 4",
                ][..],
            ),
            (
                "day",
                &[
                    "2026-01-10 00:00 +5.25 -1.5 3 3 3",
                    "2026-01-11 00:00 +0.000000000001 -0 1 4 4",
                ],
            ),
        ] {
            let rows = sqlx::query(
                "SELECT format('%s +%s -%s %s %s %s', to_char(bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
                     trim_scale(credits), trim_scale(debits), postings, trim_scale(last_balance), last_sequence) AS line
                 FROM account_history($1::uuid, '2026-01-10T22:10Z', '2026-01-11T00:00:01Z', $2)",
            )
            .bind(book::id(112))
            .bind(unit)
            .fetch_all(database.pool())
            .await
            .expect("a history");
            let lines: Vec<String> = rows.iter().map(|row| row.get("line")).collect();
            assert_eq!(
                lines,
                expected,
                "{unit} of {}",
                database.history_kind().await.expect("a kind")
            );
        }
        let wrong = "SELECT account_history(id(112)::uuid, now(), now(), 'week')";
        assert!(
            run(database.url(), wrong, false)
                .await
                .expect_err("no such unit")
                .to_string()
                .contains("week")
        );
    }
}

#[tokio::test]
async fn both_forms_answer_alike_whether_aggregated_already_or_not_and_what_was_purged_is_forgotten()
 {
    let database = long_history().await;
    let (answers, views) = (
        value::<String>(&database, ANSWERS).await,
        value::<String>(&database, VIEWS).await,
    );
    assert!(answers.lines().count() > 500, "{answers}");
    if TestDatabase::timescale()
        .await
        .expect("a database")
        .is_none()
    {
        return;
    }
    assert!(
        convert_history(database.url(), HistoryKind::Timescale)
            .await
            .expect("moved")
    );
    assert_eq!(value::<String>(&database, ANSWERS).await, answers);
    assert_eq!(value::<String>(&database, VIEWS).await, views);
    for view in ["account_hourly", "account_daily"] {
        let refresh =
            format!("CALL refresh_continuous_aggregate('{view}', NULL, now() - interval '1 hour')");
        run(database.url(), &refresh, false)
            .await
            .expect("refreshed");
    }
    assert_eq!(value::<String>(&database, ANSWERS).await, answers);
    assert_eq!(value::<String>(&database, VIEWS).await, views);
    let purge = "UPDATE tradings SET status = 'deleting' WHERE id = id(11);
        SELECT set_config('tiris.purge_trading_id', id(11), false);
        DELETE FROM transactions WHERE trading_id = id(11)";
    run(database.url(), purge, false).await.expect("purged");
    // As the policy does.
    for view in ["account_hourly", "account_daily"] {
        let refresh =
            format!("CALL refresh_continuous_aggregate('{view}', NULL, now() - interval '1 hour')");
        run(database.url(), &refresh, false)
            .await
            .expect("refreshed");
    }
    let left = "SELECT count(*) FROM account_history('00000000-0000-7000-8000-000000000112', now() - interval '90 days', now(), 'day')";
    assert_eq!(value::<i64>(&database, left).await, 0);
}

#[tokio::test]
async fn a_history_moves_to_timescale_and_back_with_every_row_right_and_index() {
    let database = long_history().await;
    let grants = "GRANT SELECT, INSERT ON transactions TO pg_monitor; GRANT SELECT ON account_daily TO pg_monitor";
    run(database.url(), grants, false).await.expect("granted");
    let state = async || {
        let rights =
            "SELECT string_agg(relname || ' ' || relacl::text, ' ' ORDER BY relname) FROM pg_class
            WHERE relname IN ('transactions', 'trading_logs', 'account_daily')";
        let horizons = "SELECT string_agg(h::text, ' ' ORDER BY history) FROM history_horizons h";
        let mut state = Vec::new();
        for query in [ROWS, rights, horizons, SCHEMA] {
            state.push(value::<String>(&database, query).await);
        }
        state
    };
    let native = state().await;
    assert!(native[1].contains("pg_monitor=ar/tiris}"), "{}", native[1]);
    if TestDatabase::timescale()
        .await
        .expect("a database")
        .is_none()
    {
        let error = convert_history(database.url(), HistoryKind::Timescale)
            .await
            .expect_err("no TimescaleDB");
        assert!(
            tiris_migrations::words(&error).contains("does not offer it"),
            "{error:#}"
        );
        assert_eq!(state().await, native);
        return;
    }
    assert!(
        convert_history(database.url(), HistoryKind::Timescale)
            .await
            .expect("moved")
    );
    assert_eq!(
        history(database.url()).await.expect("a form"),
        ("timescale".into(), None)
    );
    assert!(
        !convert_history(database.url(), HistoryKind::Timescale)
            .await
            .expect("nothing to do")
    );
    // DROP TABLE would leave the compressed chunks behind.
    let compress =
        "SELECT count(compress_chunk(c)) FROM show_chunks('transactions', older_than => now()) c";
    assert!(value::<i64>(&database, compress).await > 5);
    assert_eq!(state().await[..3], native[..3]);
    assert!(
        convert_history(database.url(), HistoryKind::Native)
            .await
            .expect("moved")
    );
    assert_eq!(state().await, native);
    let rest = "SELECT count(*) FROM pg_class WHERE relname ~ '^(compress)?_hyper'";
    assert_eq!(value::<i64>(&database, rest).await, 0);
    assert!(
        !convert_history(database.url(), HistoryKind::Native)
            .await
            .expect("nothing to do")
    );
}

#[tokio::test]
async fn a_history_whose_logs_were_dropped_is_still_right_in_its_other_form() {
    let Some(database) = TestDatabase::timescale().await.expect("a database") else {
        return;
    };
    run(
        database.url(),
        "SELECT ensure_partitions(now() - interval '3 months', 3)",
        false,
    )
    .await
    .expect("noted");
    fill(database.url(), "now() - interval '2 months'").await;
    run(
        database.url(),
        "SELECT drop_partitions('trading_logs', now() - interval '1 month')",
        false,
    )
    .await
    .expect("dropped");
    for form in [HistoryKind::Native, HistoryKind::Timescale] {
        convert_history(database.url(), form).await.expect("moved");
        let report = verify(database.url(), &indicatif::ProgressBar::hidden())
            .await
            .expect("checked");
        assert_eq!(
            (report.is_clean(), report.transactions, report.trading_logs),
            (true, 4, 0),
            "{report}"
        );
    }
}

#[tokio::test]
async fn going_down_ends_the_extension_unless_somebody_else_made_it() {
    let Some(_) = TestDatabase::timescale().await.expect("a database") else {
        return;
    };
    let extensions = "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'";
    for by_somebody_else in [false, true] {
        let database = empty().await;
        if by_somebody_else {
            let make = "SET client_min_messages = error; CREATE EXTENSION timescaledb";
            run(database.url(), make, false).await.expect("made");
        }
        up(database.url()).await.expect("up");
        assert_eq!(
            history(database.url()).await.expect("a form").0,
            "timescale"
        );
        convert_history(database.url(), HistoryKind::Native)
            .await
            .expect("moved");
        assert_eq!(
            value::<i64>(&database, extensions).await,
            1,
            "sessions still know it"
        );
        down(database.url(), None).await.expect("down");
        assert_eq!(
            value::<i64>(&database, extensions).await,
            i64::from(by_somebody_else)
        );
    }
}

#[tokio::test]
async fn the_apache_edition_is_not_used_and_says_why() {
    let Some(_) = TestDatabase::timescale().await.expect("a database") else {
        return;
    };
    let database = empty().await;
    let name = database.url().rsplit('/').next().expect("a name");
    let apache = format!("ALTER DATABASE {name} SET timescaledb.license = 'apache'");
    run(database.url(), &apache, false).await.expect("set");
    up(database.url()).await.expect("up");
    let (kind, refusal) = history(database.url()).await.expect("a form");
    assert_eq!(kind, "native");
    assert!(refusal.expect("a reason").contains("Apache"));
    let error = convert_history(database.url(), HistoryKind::Timescale)
        .await
        .expect_err("refused");
    assert!(
        tiris_migrations::words(&error).contains("Apache"),
        "{error:#}"
    );
}

#[tokio::test]
async fn a_migration_moves_no_large_history_but_the_command_does() {
    let Some(_) = TestDatabase::timescale().await.expect("a database") else {
        return;
    };
    for (rows, kind) in [(99_999, "timescale"), (100_000, "native")] {
        let database = TestDatabase::native().await.expect("a database");
        down_past(database.url(), "m0008_timeseries").await;
        let audit = format!(
            "INSERT INTO audit_logs (id, action, resource_type) SELECT gen_random_uuid(), 'x', 'y' FROM generate_series(1, {rows})"
        );
        run(database.url(), &audit, false).await.expect("a history");
        up(database.url()).await.expect("up");
        assert_eq!(
            history(database.url()).await.expect("a form").0,
            kind,
            "{rows} rows"
        );
        convert_history(database.url(), HistoryKind::Timescale)
            .await
            .expect("moved");
        assert_eq!(
            value::<i64>(&database, "SELECT count(*) FROM audit_logs").await,
            rows
        );
    }
}

#[tokio::test]
async fn years_of_history_move_to_timescale_and_back_and_are_read_by_many_at_once() {
    let Some(database) = TestDatabase::timescale().await.expect("a database") else {
        return;
    };
    run(
        database.url(),
        "SELECT ensure_partitions(now() - interval '6 years', 3)",
        false,
    )
    .await
    .expect("noted");
    let weekly = "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason,
            amount, closing_balance, sequence, trading_log_id)
        SELECT gen_random_uuid(), now() - n * interval '1 week', id(1), id(11), id(111), now(), 'credit', 'x', 1, 1, n, id(9)
        FROM generate_series(1, 310) n";
    run(database.url(), weekly, false).await.expect("a history");
    let chunks = "SELECT count(*) FROM show_chunks('transactions')";
    assert!(value::<i64>(&database, chunks).await > 300);
    let read = async || -> i64 {
        let mut transaction = database.pool().begin().await.expect("begin");
        sqlx::query_scalar("SELECT count(*) FROM transactions WHERE amount = 1")
            .fetch_one(&mut *transaction)
            .await
            .expect("a count")
    };
    let counts = tokio::join!(
        read(),
        read(),
        read(),
        read(),
        read(),
        read(),
        read(),
        read()
    );
    assert_eq!([counts.0, counts.7], [310, 310]);
    convert_history(database.url(), HistoryKind::Native)
        .await
        .expect("moved");
    convert_history(database.url(), HistoryKind::Timescale)
        .await
        .expect("moved back");
    assert_eq!(read().await, 310);
}

/// The first row of a week would make its chunk, and all others wait until that transaction ends.
#[tokio::test]
async fn nobody_waits_for_somebody_elses_first_row_of_a_week() {
    let Some(database) = TestDatabase::timescale().await.expect("a database") else {
        return;
    };
    let insert = "INSERT INTO trading_logs (id, timestamp, user_id, trading_id, event_time, type, source)
        SELECT gen_random_uuid(), now() + week * interval '7 days', id(1), id(11), now(), 'x', 'bot' FROM generate_series(0, 1) week";
    let mut slow = database.pool().begin().await.expect("begin");
    sqlx::query(sqlx::AssertSqlSafe(
        insert
            .replace("id(1)", "gen_random_uuid()")
            .replace("id(11)", "gen_random_uuid()"),
    ))
    .execute(&mut *slow)
    .await
    .expect("the first rows");
    run(
        database.url(),
        &format!("SET lock_timeout = '1s'; {insert}"),
        false,
    )
    .await
    .expect("the second ones");
    slow.commit().await.expect("committed");
    assert_eq!(
        value::<i32>(&database, "SELECT ensure_partitions(now(), 3)").await,
        0
    );
    run(
        database.url(),
        "SELECT drop_chunks('audit_logs', newer_than => now())",
        false,
    )
    .await
    .expect("dropped");
    assert_eq!(
        value::<i32>(&database, "SELECT ensure_partitions(now(), 3)").await,
        1
    );
}

#[tokio::test]
async fn retention_drops_whole_chunks_with_all_they_became_and_compression_follows_its_age() {
    let Some(database) = TestDatabase::timescale().await.expect("a database") else {
        return;
    };
    run(
        database.url(),
        "SELECT ensure_partitions(now() - interval '3 months', 3)",
        false,
    )
    .await
    .expect("noted");
    fill(database.url(), "now()").await;
    run(database.url(), LONG, false).await.expect("a history");
    value::<i64>(&database, "SELECT count(compress_chunk(c)) FROM show_chunks('transactions', older_than => now() - interval '7 days') c").await;
    let before = partitions(database.pool()).await.expect("chunks").len();
    let dropped: i32 = value(
        &database,
        "SELECT drop_partitions('transactions', now() - interval '30 days')",
    )
    .await;
    assert!((4..=5).contains(&dropped), "{dropped}");
    // Each of them was two relations.
    let after = partitions(database.pool()).await.expect("chunks");
    assert_eq!(
        after.len() + 2 * usize::try_from(dropped).expect("few"),
        before
    );
    let oldest = after
        .values()
        .filter(|one| one.history == "transactions")
        .map(|one| one.from)
        .min();
    let since = "SELECT since FROM history_horizons WHERE history = 'transactions'";
    assert_eq!(oldest, Some(value(&database, since).await));
    assert_eq!(
        value::<i32>(
            &database,
            "SELECT drop_partitions('transactions', now() - interval '30 days')"
        )
        .await,
        0
    );

    let ages = "SELECT string_agg(DISTINCT config ->> 'compress_after', ' ') || ' ' || count(*)
        FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'";
    assert_eq!(value::<String>(&database, ages).await, "30 days 3");
    assert!(value::<bool>(&database, "SELECT set_compression_age('45 days')").await);
    assert!(!value::<bool>(&database, "SELECT set_compression_age('45 days')").await);
    assert_eq!(value::<String>(&database, ages).await, "45 days 3");
    assert!(value::<bool>(&database, "SELECT set_compression_age(NULL)").await);
    let none =
        "SELECT count(*) FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'";
    assert_eq!(value::<i64>(&database, none).await, 0);
}
