//! Test databases.

use sqlx::{Connection, PgConnection};
use tiris_testing::TestDatabase;

async fn has_table(database: &TestDatabase, table: &str) -> bool {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(table)
        .fetch_one(database.pool())
        .await
        .expect("a database")
}

#[tokio::test]
async fn test_databases_are_migrated_and_isolated() {
    let first = TestDatabase::new().await.unwrap();
    let second = TestDatabase::new().await.unwrap();

    sqlx::query("CREATE TABLE mine (x int)")
        .execute(first.pool())
        .await
        .unwrap();

    assert!(has_table(&first, "sub_accounts").await);
    assert!(has_table(&second, "sub_accounts").await);
    assert!(has_table(&first, "mine").await);
    assert!(!has_table(&second, "mine").await);
}

#[tokio::test]
async fn an_empty_test_database_has_no_table() {
    let database = TestDatabase::empty().await.unwrap();

    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(database.pool())
            .await
            .unwrap();

    assert_eq!(count, 0);
}

#[tokio::test]
async fn drops_a_database_that_is_in_use() {
    let database = TestDatabase::new().await.unwrap();
    let url = database.url().to_owned();
    let _user = PgConnection::connect(&url).await.unwrap();

    drop(database);

    let error = PgConnection::connect(&url).await.unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}
