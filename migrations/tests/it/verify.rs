//! The check of the books finds what is planted and nothing else.

use crate::book::{self, filled, id, run};
use indicatif::ProgressBar;
use std::collections::BTreeSet;
use tiris_migrations::{Kind, Report};
use tiris_testing::TestDatabase;

async fn check(database: &TestDatabase) -> Report {
    tiris_migrations::verify(database.url(), &ProgressBar::hidden())
        .await
        .expect("the check itself works")
}

/// Spoils a fresh set of books and tells what was found.
async fn spoiled(sql: &str) -> Report {
    let database = filled().await;
    run(database.url(), sql, true).await.expect(sql);
    check(&database).await
}

/// Asserts that exactly `kinds` are found, and that every row of `rows` is named.
async fn finds(sql: &str, kinds: &[Kind], rows: &[u32]) {
    let report = spoiled(sql).await;
    let found: BTreeSet<Kind> = report.violations.keys().copied().collect();
    assert_eq!(found, kinds.iter().copied().collect(), "{sql}\n{report}");
    for row in rows {
        assert!(
            report.to_string().contains(&id(*row)),
            "{sql}: row {row} is not named\n{report}"
        );
    }
}

#[tokio::test]
async fn good_books_are_clean_and_counted() {
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
        ..Report::default()
    };
    assert_eq!(report, expected, "{report}");
    assert_eq!((progress.position(), progress.length()), (16, Some(16)));
}

#[tokio::test]
async fn a_gap_in_a_sequence_is_found() {
    let gap = "UPDATE transactions SET sequence = 3 WHERE id = id(3); UPDATE sub_accounts SET sequence = 3 WHERE id = id(112)";
    finds(gap, &[Kind::SequenceGap], &[3, 112]).await;
    let late = "UPDATE transactions SET sequence = 2 WHERE id = id(4); UPDATE sub_accounts SET sequence = 2 WHERE id = id(211)";
    finds(late, &[Kind::SequenceGap], &[4, 211]).await;
    let twice = "UPDATE transactions SET sequence = 1 WHERE id = id(3); UPDATE sub_accounts SET sequence = 1 WHERE id = id(112)";
    finds(twice, &[Kind::SequenceGap], &[3, 112]).await;
}

#[tokio::test]
async fn a_closing_balance_that_does_not_follow_is_found_to_the_last_digit() {
    finds(
        "UPDATE transactions SET amount = 40.500000000001 WHERE id = id(3)",
        &[Kind::ClosingBalance],
        &[3],
    )
    .await;
    finds(
        "UPDATE transactions SET direction = 'credit' WHERE id = id(3)",
        &[Kind::ClosingBalance],
        &[3],
    )
    .await;
    let most = "UPDATE transactions SET amount = 9999999999999999.999999999999 WHERE id = id(3)";
    finds(most, &[Kind::ClosingBalance], &[3]).await;
}

#[tokio::test]
async fn a_fee_above_the_posting_that_pays_it_is_found() {
    finds(
        "UPDATE transactions SET fee = 40.500000000001 WHERE id = id(3)",
        &[Kind::Fee],
        &[3],
    )
    .await;
}

#[tokio::test]
async fn a_balance_or_sequence_that_is_not_the_last_postings_is_found() {
    let balance = "UPDATE sub_accounts SET balance = 59.500000000001 WHERE id = id(112)";
    finds(balance, &[Kind::AccountBalance], &[112]).await;
    finds(
        "UPDATE sub_accounts SET sequence = 3 WHERE id = id(112)",
        &[Kind::AccountSequence],
        &[112],
    )
    .await;
    let unused = "UPDATE sub_accounts SET balance = 1, sequence = 1 WHERE id = id(113)";
    finds(
        unused,
        &[Kind::AccountBalance, Kind::AccountSequence],
        &[113],
    )
    .await;
}

#[tokio::test]
async fn a_locked_amount_outside_the_balance_or_unlike_the_holds_is_found() {
    finds(
        "UPDATE sub_accounts SET locked = 9 WHERE id = id(112)",
        &[Kind::LockedHolds],
        &[112],
    )
    .await;
    finds("DELETE FROM holds", &[Kind::LockedHolds], &[112]).await;
    let widest = "INSERT INTO holds SELECT id(112), 'h' || n, 9999999999999999 FROM generate_series(1, 20) n";
    finds(widest, &[Kind::LockedHolds], &[112]).await;
    let above = "ALTER TABLE sub_accounts DROP CONSTRAINT sub_accounts_locked_within_balance;
        UPDATE holds SET amount = 59.5 WHERE order_id = 'o1'; UPDATE sub_accounts SET locked = 60 WHERE id = id(112)";
    finds(above, &[Kind::LockedRange], &[112]).await;
    let negative = "ALTER TABLE sub_accounts DROP CONSTRAINT sub_accounts_locked_within_balance;
        UPDATE sub_accounts SET locked = -1 WHERE id = id(113)";
    finds(negative, &[Kind::LockedHolds, Kind::LockedRange], &[113]).await;
}

#[tokio::test]
async fn a_trade_without_all_its_legs_is_found() {
    finds(
        "UPDATE trading_logs SET postings = 3 WHERE id = id(2)",
        &[Kind::PostingCount],
        &[2],
    )
    .await;
    finds(
        "UPDATE trading_logs SET postings = 0 WHERE id = id(2)",
        &[Kind::PostingCount],
        &[2],
    )
    .await;
    let lost = "DELETE FROM transactions WHERE id = id(2); UPDATE sub_accounts SET balance = 0, sequence = 0 WHERE id = id(111)";
    finds(lost, &[Kind::PostingCount], &[2]).await;
    let other = "UPDATE trading_logs SET transaction_id = id(3) WHERE id = id(1)";
    finds(other, &[Kind::LogTransaction], &[1, 3]).await;
}

#[tokio::test]
async fn a_posting_without_its_log_is_found() {
    finds(
        "DELETE FROM trading_logs WHERE id = id(2)",
        &[Kind::MissingLog],
        &[2, 3],
    )
    .await;
    finds(
        "DELETE FROM trading_logs WHERE id = id(4)",
        &[Kind::MissingLog],
        &[4],
    )
    .await;
}

#[tokio::test]
async fn a_row_that_refers_to_nothing_is_found() {
    finds(
        "DELETE FROM sub_accounts WHERE id = id(211)",
        &[Kind::MissingRow],
        &[4, 211],
    )
    .await;
    finds(
        "INSERT INTO holds VALUES (id(999), 'lost', 1)",
        &[Kind::MissingRow],
        &[999],
    )
    .await;
    finds(
        "UPDATE trading_logs SET trading_id = id(99) WHERE id = id(3)",
        &[Kind::MissingRow],
        &[3, 99],
    )
    .await;
    finds(
        "UPDATE trading_logs SET sub_account_id = id(99) WHERE id = id(3)",
        &[Kind::MissingRow],
        &[3, 99],
    )
    .await;
    finds(
        "UPDATE tradings SET exchange_binding_id = id(99) WHERE id = id(21)",
        &[Kind::MissingRow],
        &[21, 99],
    )
    .await;
    finds(
        "DELETE FROM users WHERE id = id(2)",
        &[Kind::MissingRow],
        &[2, 21, 211],
    )
    .await;
}

#[tokio::test]
async fn a_row_that_refers_to_another_users_row_is_found() {
    finds(
        "UPDATE transactions SET user_id = id(1) WHERE id = id(4)",
        &[Kind::ForeignRow],
        &[4, 211],
    )
    .await;
    finds(
        "UPDATE transactions SET trading_id = id(21) WHERE id = id(3)",
        &[Kind::ForeignRow],
        &[3, 112],
    )
    .await;
    finds(
        "UPDATE trading_logs SET user_id = id(2) WHERE id = id(3)",
        &[Kind::ForeignRow],
        &[3, 11],
    )
    .await;
    finds(
        "UPDATE trading_logs SET sub_account_id = id(211) WHERE id = id(3)",
        &[Kind::ForeignRow],
        &[3, 211],
    )
    .await;
    finds(
        "UPDATE sub_accounts SET user_id = id(2) WHERE id = id(113)",
        &[Kind::ForeignRow],
        &[113, 11],
    )
    .await;
    finds(
        "UPDATE tradings SET exchange_binding_id = id(2) WHERE id = id(11)",
        &[Kind::ForeignRow],
        &[11, 2],
    )
    .await;
}

#[tokio::test]
async fn many_violations_are_all_counted_and_some_are_shown() {
    let report = spoiled(
        "INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol, balance)
         SELECT gen_random_uuid(), id(1), id(11), 'n' || n, 'ETH', 1 FROM generate_series(1, 30) n",
    )
    .await;
    let tally = &report.violations[&Kind::AccountBalance];
    assert_eq!(
        (tally.count, tally.examples.len(), report.violation_count()),
        (30, 20, 30)
    );
    assert!(report.to_string().contains("... and 10 more"), "{report}");
}

/// More rows than a cursor fetches at once, on one account.
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
async fn a_history_longer_than_a_block_is_followed_to_its_end() {
    let database = filled().await;
    run(database.url(), LONG_HISTORY, false)
        .await
        .expect("written");
    let report = check(&database).await;
    assert_eq!(
        (report.is_clean(), report.transactions, report.trading_logs),
        (true, 12_004, 12_004),
        "{report}"
    );
    let spoil = "DELETE FROM transactions WHERE sequence = 5000 AND sub_account_id = id(113)";
    run(database.url(), spoil, true).await.expect("spoiled");
    let report = check(&database).await;
    let found: Vec<(Kind, u64)> = report
        .violations
        .iter()
        .map(|(kind, tally)| (*kind, tally.count))
        .collect();
    assert_eq!(
        found,
        [
            (Kind::SequenceGap, 1),
            (Kind::ClosingBalance, 1),
            (Kind::PostingCount, 1)
        ],
        "{report}"
    );
}

/// Filled databases whose rows are from two months ago, one for each form of the history.
async fn filled_two_months_ago() -> Vec<TestDatabase> {
    let databases = TestDatabase::of_each_kind().await.expect("databases");
    for database in &databases {
        run(
            database.url(),
            "SELECT ensure_partitions(now() - interval '3 months', 3)",
            false,
        )
        .await
        .expect("partitions");
        book::fill(database.url(), "now() - interval '2 months'").await;
    }
    databases
}

/// Drops what is older than a month as retention does.
async fn drop_old(database: &TestDatabase, table: &str) {
    let sql = format!("SELECT drop_partitions('{table}', now() - interval '1 month')");
    run(database.url(), &sql, false).await.expect("dropped");
}

#[tokio::test]
async fn logs_that_retention_dropped_are_no_violation() {
    for database in filled_two_months_ago().await {
        drop_old(&database, "trading_logs").await;
        let report = check(&database).await;
        assert_eq!(
            (report.is_clean(), report.transactions, report.trading_logs),
            (true, 4, 0),
            "{report}"
        );
    }
}

#[tokio::test]
async fn logs_missing_from_a_time_that_was_not_dropped_are_a_violation() {
    for database in filled_two_months_ago().await {
        run(
            database.url(),
            "SELECT drop_partitions('trading_logs', now() - interval '75 days')",
            false,
        )
        .await
        .expect("dropped");
        run(database.url(), "DELETE FROM trading_logs", false)
            .await
            .expect("deleted");
        let report = check(&database).await;
        assert_eq!(report.violations[&Kind::MissingLog].count, 4, "{report}");
    }
}

#[tokio::test]
async fn postings_that_retention_dropped_are_no_violation() {
    for database in filled_two_months_ago().await {
        drop_old(&database, "transactions").await;
        let report = check(&database).await;
        assert_eq!(
            (report.is_clean(), report.transactions, report.trading_logs),
            (true, 0, 4),
            "{report}"
        );
        let sql =
            "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction,
                reason, amount, closing_balance, sequence, trading_log_id)
            VALUES (id(9), now(), id(1), id(11), id(112), now(), 'credit', 'deposit', 1, 60.5, 3, id(9)),
                   (id(8), now(), id(1), id(11), id(112), now(), 'credit', 'deposit', 1, 61.6, 4, id(9));
            INSERT INTO trading_logs (id, timestamp, user_id, trading_id, postings, event_time, type, source)
            VALUES (id(9), now(), id(1), id(11), 2, now(), 'deposit', 'manual');
            UPDATE sub_accounts SET balance = 61.6, sequence = 4 WHERE id = id(112)";
        run(database.url(), sql, false).await.expect("written");
        let report = check(&database).await;
        let found: Vec<Kind> = report.violations.keys().copied().collect();
        assert_eq!(
            found,
            [Kind::ClosingBalance],
            "what is left is followed all the same\n{report}"
        );
    }
}

#[tokio::test]
async fn a_trading_that_is_being_purged_is_left_out() {
    let database = filled().await;
    let half_purged = "UPDATE tradings SET status = 'deleting' WHERE id = id(11);
        DELETE FROM transactions WHERE id = id(2); DELETE FROM trading_logs WHERE id = id(1)";
    run(database.url(), half_purged, true)
        .await
        .expect("purged");
    let report = check(&database).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(
        (
            report.accounts,
            report.accounts_being_purged,
            report.transactions
        ),
        (1, 3, 1),
        "{report}"
    );
}
