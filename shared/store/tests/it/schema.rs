//! The schema that the services need.

use tiris_store::schema::{LATEST_MIGRATION, check_ready};
use tiris_testing::{Role, TestDatabase};

#[tokio::test]
async fn the_services_need_the_newest_migration() {
    assert_eq!(
        LATEST_MIGRATION,
        tiris_migrations::LATEST,
        "set LATEST_MIGRATION in shared/store/src/schema.rs"
    );
    let migrated = TestDatabase::new().await.expect("a database");
    let empty = TestDatabase::empty().await.expect("a database");

    check_ready(migrated.pool()).await.expect("ready");
    let error = check_ready(empty.pool()).await.expect_err("not migrated");

    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_user_without_a_role_is_reported() {
    let database = TestDatabase::new().await.expect("a database");
    let pool = database.pool_as(Role::Api).expect("a pool");
    check_ready(&pool).await.expect("ready");
    sqlx::query("REVOKE ALL ON seaql_migrations FROM tiris_api")
        .execute(database.pool())
        .await
        .expect("revoked");

    let error = check_ready(&pool).await.expect_err("denied");

    let error = format!("{error:?}");
    assert!(error.contains("member of tiris_api"), "{error}");
}
