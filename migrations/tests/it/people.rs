//! Tests of the migration that makes names unique whatever their case, and erases what was deleted.

use crate::book::{count, run, value};
use crate::migrate::down_past;
use tiris_migrations::up;
use tiris_testing::TestDatabase;

const NAME: &str = "m0014_people";

/// Rows that an earlier version accepted; the letters of NFD are two characters.
const EARLIER: &str = r#"
    INSERT INTO users (id, username, email, created_at, status, info) VALUES
        ('01900000-0000-7000-8000-00000000000a', 'Demo_Trader', U&'jos\00e9@example.com', now() - interval '2 days', 'active', '{}'),
        ('01900000-0000-7000-8000-00000000000b', 'demo_trader', U&'Jose\0301@example.com', now() - interval '1 day', 'active', '{}'),
        ('01900000-0000-7000-8000-00000000000c', U&' ren\0065\0301e', NULL, now(), 'active', '{}'),
        ('01900000-0000-7000-8000-00000000000d', 'gone', 'gone@example.com', now(), 'deleted', '{"phone": "123"}');
    INSERT INTO tradings (id, user_id, name, type) VALUES
        ('01900000-0000-7000-8000-000000000001', '01900000-0000-7000-8000-00000000000a', ' ', 'paper'),
        ('01900000-0000-7000-8000-000000000002', '01900000-0000-7000-8000-00000000000a', U&'cafe\0301', 'paper'),
        ('01900000-0000-7000-8000-000000000003', '01900000-0000-7000-8000-00000000000b', 'grid', 'paper'),
        ('01900000-0000-7000-8000-000000000004', '01900000-0000-7000-8000-00000000000b', 'grid ', 'paper');
    INSERT INTO exchange_bindings (id, user_id, name, exchange_type, kind, status, info) VALUES
        (gen_random_uuid(), '01900000-0000-7000-8000-00000000000a', 'mine', 'okx', 'private', 'deleted', '{"passphrase": "p"}');
"#;

async fn migrated() -> TestDatabase {
    let database = TestDatabase::new().await.expect("a database");
    down_past(database.url(), NAME).await;
    run(&database, EARLIER).await;

    up(database.url()).await.expect("up");
    database
}

#[tokio::test]
async fn users_with_equal_names_both_stay_and_nobody_joins_them() {
    let database = migrated().await;

    let flagged = "SELECT array_agg(right(id::text, 1) || username_shared || email_shared ORDER BY id) FROM users \
                   WHERE username ILIKE 'demo%'";
    let flagged: Vec<String> = value(&database, flagged).await;
    assert_eq!(flagged, ["afalsefalse", "btruetrue"]);

    for (column, taken) in [
        ("username", "'DEMO_TRADER'"),
        // With a full-width J, as the earlier index compares the rest already.
        ("email", r"U&'\FF2AOS\00c9@EXAMPLE.com'"),
    ] {
        let username = if column == "username" { taken } else { "'new'" };
        let email = if column == "email" { taken } else { "NULL" };
        let insert = format!(
            "INSERT INTO users (id, username, email, username_shared, email_shared) VALUES (gen_random_uuid(), {username}, {email}, false, false)"
        );
        let refused = sqlx::query(sqlx::AssertSqlSafe(insert))
            .execute(database.pool())
            .await
            .expect_err(column);
        let index = format!("users_{column}_folded_unique");
        assert_eq!(constraint_of(&refused), Some(index), "{refused}");
    }
}

/// Returns the index that a statement violated.
fn constraint_of(error: &sqlx::Error) -> Option<String> {
    let name = error.as_database_error()?.constraint()?;
    Some(name.to_owned())
}

#[tokio::test]
async fn programs_of_before_get_the_answers_they_know() {
    let database = migrated().await;
    let statement = |text: &str| {
        let query = sqlx::query(sqlx::AssertSqlSafe(text.to_owned()));
        query.execute(database.pool())
    };

    let sign_up = |username: &str, email: &str| {
        format!(
            "INSERT INTO users (id, username, email) VALUES (gen_random_uuid(), '{username}', '{email}') \
             ON CONFLICT (username) WHERE status <> 'deleted' DO NOTHING"
        )
    };
    let equal = statement(&sign_up("Demo_Trader", "x@example.com")).await;
    assert_eq!(equal.expect("skipped").rows_affected(), 0);
    let taken = statement(&sign_up("DEMO_TRADER", "x@example.com")).await;
    assert_eq!(taken.expect("skipped").rows_affected(), 0);
    let free = statement(&sign_up("DEMO_TRADER-2", "x@example.com")).await;
    assert_eq!(free.expect("inserted").rows_affected(), 1);
    let flagged =
        "users WHERE username = 'DEMO_TRADER-2' AND NOT username_shared AND NOT email_shared";
    assert_eq!(count(&database, flagged).await, 1);

    let email = sign_up("new", "\u{ff2a}OS\u{c9}@EXAMPLE.com");
    let refused = statement(&email).await.expect_err("taken");
    assert_eq!(
        constraint_of(&refused).as_deref(),
        Some("users_email_unique")
    );
    let rename = "UPDATE users SET username = 'DEMO_trader' WHERE username = 'DEMO_TRADER-2'";
    let refused = statement(rename).await.expect_err("taken");
    assert_eq!(
        constraint_of(&refused).as_deref(),
        Some("users_username_unique")
    );
}

#[tokio::test]
async fn names_become_plain_unless_blank_or_taken() {
    let database = migrated().await;

    let names = "SELECT array_agg(name ORDER BY id) FROM tradings";
    let names: Vec<String> = value(&database, names).await;
    assert_eq!(names, [" ", "caf\u{e9}", "grid", "grid "]);
    let username = "users WHERE username = U&'ren\\00e9e'";
    assert_eq!(count(&database, username).await, 1);
}

#[tokio::test]
async fn what_was_deleted_is_erased() {
    let database = migrated().await;

    let erased = "users WHERE status = 'deleted' AND username = 'deleted-' || id AND email IS NULL AND info = '{}'";
    assert_eq!(count(&database, erased).await, 1);
    let erased = "exchange_bindings WHERE status = 'deleted' AND info = '{}'";
    assert_eq!(count(&database, erased).await, 1);
}
