//! The migration of dead letters that an earlier version stored.

use crate::book::{count, run};
use tiris_migrations::{down, up};
use tiris_testing::TestDatabase;

const MIGRATION: &str = "m0011_dead_letter_accounts";

/// Inserts dead letters as the earlier version stores them: malformed ones belong to the user that the payload claims.
const LETTERS: &str = "
    INSERT INTO dead_letters (id, stream, lane, stream_created_at, stream_seq, subject, payload, user_id, class, code,
        reason, status)
    SELECT gen_random_uuid(), 'TRADING', 0, 7, seq, subject, '', '01900000-0000-7000-8000-00000000000c', class, code, '', status
    FROM (VALUES
        (1, 'trading.balance.updated.0.01900000-0000-7000-8000-00000000000a', 'malformed', 'SUBJECT_MISMATCH', 'open'),
        (2, 'trading.orders.filled.0.01900000-0000-7000-8000-00000000000A', 'malformed', 'MISSING_FIELD', 'discarded'),
        (3, 'trading.balance.updated.0.mallory', 'malformed', 'SUBJECT_MISMATCH', 'open'),
        (4, 'trading.balance.updated', 'malformed', 'BARE_SUBJECT', 'open'),
        (5, 'trading.balance.updated.0.01900000-0000-7000-8000-00000000000c', 'rejected', 'SYMBOL_MISMATCH', 'replayed'))
        AS l (seq, subject, class, code, status)";

/// Reverts the migration and all later ones.
async fn revert(database: &TestDatabase) {
    loop {
        let reverted = down(database.url(), Some(1)).await.expect("down");
        if reverted == [MIGRATION] {
            break;
        }
    }
}

/// Returns a database with the dead letters of the earlier version.
async fn migrated() -> TestDatabase {
    let database = TestDatabase::new().await.expect("a database");
    revert(&database).await;
    run(&database, LETTERS).await;

    up(database.url()).await.expect("up");
    database
}

#[tokio::test]
async fn malformed_dead_letters_belong_to_the_user_of_their_subject() {
    let database = migrated().await;

    for (user, seqs) in [
        ("= '01900000-0000-7000-8000-00000000000a'", "{1,2}"),
        ("IS NULL", "{3,4}"),
        ("= '01900000-0000-7000-8000-00000000000c'", "{5}"),
    ] {
        let of_user = format!(
            "(SELECT array_agg(stream_seq ORDER BY stream_seq) AS seqs FROM dead_letters WHERE user_id {user}) a \
             WHERE seqs = '{seqs}'"
        );
        assert_eq!(count(&database, &of_user).await, 1, "{user}");
    }
}

#[tokio::test]
async fn an_open_dead_letter_does_not_wait_for_a_try_that_is_hours_away() {
    let database = TestDatabase::new().await.expect("a database");
    revert(&database).await;
    run(&database, LETTERS).await;
    let hours_away =
        "UPDATE dead_letters SET next_attempt_at = now() + interval '4 hours' WHERE stream_seq = 1";
    run(&database, hours_away).await;

    up(database.url()).await.expect("up");

    let due = "dead_letters WHERE next_attempt_at <= clock_timestamp()";
    assert_eq!(count(&database, due).await, 1);
}

#[tokio::test]
async fn every_closed_dead_letter_has_the_time_of_its_closing() {
    let database = migrated().await;
    let closed = "dead_letters WHERE closed_at IS NOT NULL";
    assert_eq!(count(&database, closed).await, 2);

    // As an earlier version closes one.
    let close = "UPDATE dead_letters SET status = 'replayed' WHERE stream_seq = 4";
    run(&database, close).await;
    let again = "UPDATE dead_letters SET published_at = now(), reason = 'x'";
    run(&database, again).await;

    assert_eq!(count(&database, closed).await, 3);
    let noted = "dead_letters WHERE closed_by IS NOT NULL AND stream_seq = 4";
    assert_eq!(count(&database, noted).await, 1);
}
