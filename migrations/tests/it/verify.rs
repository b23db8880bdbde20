//! Tests that the check finds exactly the planted violations.

mod orders;

use crate::book::{fill, filled, id, run, spoil, verify};
use indicatif::ProgressBar;
use std::collections::BTreeSet;
use tiris_migrations::{Kind, Report};
use tiris_testing::TestDatabase;

/// Corrupts new books and returns the report.
async fn spoiled(sql: &str) -> Report {
    let database = filled().await;
    spoil(&database, sql).await;
    verify(&database).await
}

/// Asserts that exactly `kinds` are found and all `rows` are named.
async fn finds_all(sql: &str, kinds: &[Kind], rows: &[u32]) {
    let report = spoiled(sql).await;
    let found: BTreeSet<Kind> = report.violations.keys().copied().collect();
    assert_eq!(found, kinds.iter().copied().collect(), "{sql}\n{report}");
    let report = report.to_string();
    for row in rows {
        let named = report.contains(&id(*row));
        assert!(named, "{sql}: row {row} is not named\n{report}");
    }
}

async fn finds(sql: &str, kind: Kind, rows: &[u32]) {
    finds_all(sql, &[kind], rows).await;
}

#[tokio::test]
async fn valid_books_are_clean_and_counted() {
    let database = filled().await;
    let progress = ProgressBar::hidden();

    let report = tiris_migrations::verify(database.url(), &progress)
        .await
        .expect("checked");

    let expected = Report {
        accounts: 4,
        transactions: 4,
        trading_logs: 4,
        holds: 2,
        orders: 1,
        ..Report::default()
    };
    assert_eq!(report, expected, "{report}");
    assert_eq!(progress.position(), 16);
    assert_eq!(progress.length(), Some(16));
}

#[tokio::test]
async fn finds_a_gap_in_a_sequence() {
    let gap = "UPDATE transactions SET sequence = 3 WHERE id = id(3); UPDATE sub_accounts SET sequence = 3 WHERE id = id(112)";
    finds(gap, Kind::SequenceGap, &[3, 112]).await;
    let late = "UPDATE transactions SET sequence = 2 WHERE id = id(4); UPDATE sub_accounts SET sequence = 2 WHERE id = id(211)";
    finds(late, Kind::SequenceGap, &[4, 211]).await;
    let twice = "UPDATE transactions SET sequence = 1 WHERE id = id(3); UPDATE sub_accounts SET sequence = 1 WHERE id = id(112)";
    finds(twice, Kind::SequenceGap, &[3, 112]).await;
}

#[tokio::test]
async fn finds_a_wrong_closing_balance_to_the_last_digit() {
    for sql in [
        "UPDATE transactions SET amount = 40.500000000001 WHERE id = id(3)",
        "UPDATE transactions SET direction = 'credit' WHERE id = id(3)",
        "UPDATE transactions SET amount = 9999999999999999.999999999999 WHERE id = id(3)",
    ] {
        finds(sql, Kind::ClosingBalance, &[3]).await;
    }
}

#[tokio::test]
async fn finds_a_fee_above_the_posting_that_pays_it() {
    let fee = "UPDATE transactions SET fee = 40.500000000001 WHERE id = id(3)";
    finds(fee, Kind::Fee, &[3]).await;
}

#[tokio::test]
async fn finds_a_balance_or_sequence_unlike_the_last_posting() {
    let balance = "UPDATE sub_accounts SET balance = 59.500000000001 WHERE id = id(112)";
    finds(balance, Kind::AccountBalance, &[112]).await;
    let sequence = "UPDATE sub_accounts SET sequence = 3 WHERE id = id(112)";
    finds(sequence, Kind::AccountSequence, &[112]).await;
    let unused = "UPDATE sub_accounts SET balance = 1, sequence = 1 WHERE id = id(113)";
    let both = [Kind::AccountBalance, Kind::AccountSequence];
    finds_all(unused, &both, &[113]).await;
}

#[tokio::test]
async fn finds_a_locked_amount_unlike_the_holds() {
    for sql in [
        "UPDATE sub_accounts SET locked = 9 WHERE id = id(112)",
        "DELETE FROM holds",
    ] {
        finds(sql, Kind::LockedHolds, &[112]).await;
    }

    let many = "INSERT INTO holds (sub_account_id, trading_id, order_id, amount)
        SELECT id(112), id(11), 'h' || n, 9999999999999999 FROM generate_series(1, 20) n";
    finds_all(many, &[Kind::LockedHolds, Kind::OrderHold], &[112]).await;
}

#[tokio::test]
async fn finds_a_locked_amount_outside_the_balance() {
    let above = "ALTER TABLE sub_accounts DROP CONSTRAINT sub_accounts_locked_within_balance;
        UPDATE holds SET amount = 59.5 WHERE order_id = 'o1'; UPDATE sub_accounts SET locked = 60 WHERE id = id(112)";
    finds(above, Kind::LockedRange, &[112]).await;
    let negative = "ALTER TABLE sub_accounts DROP CONSTRAINT sub_accounts_locked_within_balance;
        UPDATE sub_accounts SET locked = -1 WHERE id = id(113)";
    let both = [Kind::LockedHolds, Kind::LockedRange];
    finds_all(negative, &both, &[113]).await;
}

#[tokio::test]
async fn finds_a_trade_without_all_its_legs() {
    for sql in [
        "UPDATE trading_logs SET postings = 3 WHERE id = id(2)",
        "UPDATE trading_logs SET postings = 0 WHERE id = id(2)",
        "DELETE FROM transactions WHERE id = id(2); UPDATE sub_accounts SET balance = 0, sequence = 0 WHERE id = id(111)",
    ] {
        finds(sql, Kind::PostingCount, &[2]).await;
    }
}

#[tokio::test]
async fn finds_a_log_that_names_another_posting() {
    let other = "UPDATE trading_logs SET transaction_id = id(3) WHERE id = id(1)";
    finds(other, Kind::LogTransaction, &[1, 3]).await;
}

#[tokio::test]
async fn finds_a_posting_without_its_log() {
    let of_trade = "DELETE FROM trading_logs WHERE id = id(2)";
    finds(of_trade, Kind::MissingLog, &[2, 3]).await;
    let of_deposit = "DELETE FROM trading_logs WHERE id = id(4)";
    finds(of_deposit, Kind::MissingLog, &[4]).await;
}

#[tokio::test]
async fn finds_a_reference_to_a_missing_row() {
    let finds = async |sql, rows: &[u32]| finds(sql, Kind::MissingRow, rows).await;

    let account = "DELETE FROM sub_accounts WHERE id = id(211)";
    finds(account, &[4, 211]).await;
    let hold = "INSERT INTO holds (sub_account_id, trading_id, order_id, amount) VALUES (id(999), id(11), '', 1)";
    finds(hold, &[999]).await;
    let trading = "UPDATE trading_logs SET trading_id = id(99) WHERE id = id(3)";
    finds(trading, &[3, 99]).await;
    let account_of_log = "UPDATE trading_logs SET sub_account_id = id(99) WHERE id = id(3)";
    finds(account_of_log, &[3, 99]).await;
    let binding = "UPDATE tradings SET exchange_binding_id = id(99) WHERE id = id(21)";
    finds(binding, &[21, 99]).await;
    let user = "DELETE FROM users WHERE id = id(2)";
    finds(user, &[2, 21, 211]).await;
}

#[tokio::test]
async fn finds_a_reference_to_another_users_row() {
    let finds = async |sql, rows: &[u32]| finds(sql, Kind::ForeignRow, rows).await;

    let user = "UPDATE transactions SET user_id = id(1) WHERE id = id(4)";
    finds(user, &[4, 211]).await;
    let trading = "UPDATE transactions SET trading_id = id(21) WHERE id = id(3)";
    finds(trading, &[3, 112]).await;
    let user_of_log = "UPDATE trading_logs SET user_id = id(2) WHERE id = id(3)";
    finds(user_of_log, &[3, 11]).await;
    let account_of_log = "UPDATE trading_logs SET sub_account_id = id(211) WHERE id = id(3)";
    finds(account_of_log, &[3, 211]).await;
    let user_of_account = "UPDATE sub_accounts SET user_id = id(2) WHERE id = id(113)";
    finds(user_of_account, &[113, 11]).await;
    let binding = "UPDATE tradings SET exchange_binding_id = id(2) WHERE id = id(11)";
    finds(binding, &[11, 2]).await;
}

#[tokio::test]
async fn counts_all_violations_and_shows_some() {
    let report = spoiled(
        "INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol, balance)
         SELECT gen_random_uuid(), id(1), id(11), 'n' || n, 'ETH', 1 FROM generate_series(1, 30) n",
    )
    .await;

    let tally = &report.violations[&Kind::AccountBalance];
    assert_eq!(tally.count, 30);
    assert_eq!(tally.examples.len(), 20);
    assert_eq!(report.violation_count(), 30);
    assert!(report.to_string().contains("... and 10 more"), "{report}");
}

/// Asserts that books are clean and have a number of rows.
fn is_clean(report: &Report, transactions: u64, trading_logs: u64) {
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.transactions, transactions, "{report}");
    assert_eq!(report.trading_logs, trading_logs, "{report}");
}

/// More rows than one fetch of a cursor, on one account.
const LONG_HISTORY: &str = "
    INSERT INTO trading_logs (id, timestamp, user_id, trading_id, transaction_id, postings, event_time, type, source)
    SELECT ('10000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, now(), id(1), id(11),
           ('10000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 1, now(), 'deposit', 'bot'
    FROM generate_series(1, 12000) n;
    INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason,
        amount, closing_balance, sequence, trading_log_id)
    SELECT id, timestamp, user_id, trading_id, id(113), timestamp, 'credit', 'deposit', 0.1, 0.1 * n, n, id
    FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM trading_logs WHERE type = 'deposit' AND source = 'bot') l;
    UPDATE sub_accounts SET balance = 1200, sequence = 12000 WHERE id = id(113);";

#[tokio::test]
async fn checks_a_history_longer_than_a_block() {
    let database = filled().await;
    run(&database, LONG_HISTORY).await;
    is_clean(&verify(&database).await, 12_004, 12_004);

    let gap = "DELETE FROM transactions WHERE sequence = 5000 AND sub_account_id = id(113)";
    spoil(&database, gap).await;

    let report = verify(&database).await;
    let found: Vec<Kind> = report.violations.keys().copied().collect();
    let expected = [Kind::SequenceGap, Kind::ClosingBalance, Kind::PostingCount];
    assert_eq!(found, expected, "{report}");
    assert_eq!(report.violation_count(), 3, "{report}");
}

/// Creates a filled database with rows from two months ago for each kind of storage.
async fn filled_two_months_ago() -> Vec<TestDatabase> {
    let databases = TestDatabase::of_each_kind().await.expect("databases");
    for database in &databases {
        let partitions = "SELECT ensure_partitions(now() - interval '3 months', 3)";
        run(database, partitions).await;
        fill(database, "now() - interval '2 months'").await;
    }
    databases
}

/// Drops older rows like retention.
async fn drop_older(database: &TestDatabase, table: &str, age: &str) {
    let drop = format!("SELECT drop_partitions('{table}', now() - interval '{age}')");
    run(database, &drop).await;
}

#[tokio::test]
async fn logs_dropped_by_retention_are_no_violation() {
    for database in filled_two_months_ago().await {
        drop_older(&database, "trading_logs", "1 month").await;

        is_clean(&verify(&database).await, 4, 0);
    }
}

#[tokio::test]
async fn logs_missing_within_retention_are_a_violation() {
    for database in filled_two_months_ago().await {
        drop_older(&database, "trading_logs", "75 days").await;
        run(&database, "DELETE FROM trading_logs").await;

        let report = verify(&database).await;

        assert_eq!(report.violations[&Kind::MissingLog].count, 4, "{report}");
    }
}

#[tokio::test]
async fn postings_dropped_by_retention_are_no_violation() {
    for database in filled_two_months_ago().await {
        drop_older(&database, "transactions", "1 month").await;

        is_clean(&verify(&database).await, 0, 4);
    }
}

#[tokio::test]
async fn checks_postings_after_dropped_ones() {
    for database in filled_two_months_ago().await {
        drop_older(&database, "transactions", "1 month").await;
        let wrong =
            "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction,
                reason, amount, closing_balance, sequence, trading_log_id)
            VALUES (id(9), now(), id(1), id(11), id(112), now(), 'credit', 'deposit', 1, 60.5, 3, id(9)),
                   (id(8), now(), id(1), id(11), id(112), now(), 'credit', 'deposit', 1, 61.6, 4, id(9));
            INSERT INTO trading_logs (id, timestamp, user_id, trading_id, postings, event_time, type, source)
            VALUES (id(9), now(), id(1), id(11), 2, now(), 'deposit', 'manual');
            UPDATE sub_accounts SET balance = 61.6, sequence = 4 WHERE id = id(112)";
        run(&database, wrong).await;

        let report = verify(&database).await;

        let found: Vec<Kind> = report.violations.keys().copied().collect();
        assert_eq!(found, [Kind::ClosingBalance], "{report}");
    }
}

#[tokio::test]
async fn leaves_out_a_trading_that_is_being_purged() {
    let database = filled().await;
    let half_purged = "UPDATE tradings SET status = 'deleting' WHERE id = id(11);
        DELETE FROM transactions WHERE id = id(2); DELETE FROM trading_logs WHERE id = id(1)";
    spoil(&database, half_purged).await;

    let report = verify(&database).await;

    assert!(report.is_clean(), "{report}");
    assert_eq!(report.accounts, 1, "{report}");
    assert_eq!(report.accounts_being_purged, 3, "{report}");
    assert_eq!(report.transactions, 1, "{report}");
}
