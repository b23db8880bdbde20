//! Tests that the services and `verify` may run their statements under their roles.

use super::{failing, of_the_code, prepare};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::collections::BTreeSet;
use tiris_testing::{Role, TestDatabase};

const DENIED: &str = "42501";

/// Returns the statements in these folders that a role may not run.
async fn denied_to(database: &TestDatabase, role: Role, folders: &[&str]) -> BTreeSet<String> {
    let connection = PgConnection::connect(database.url()).await;
    let mut connection = connection.expect("a connection");
    let statements = of_the_code().statements.into_iter();
    let statements =
        statements.filter(|(file, _)| folders.iter().any(|folder| file.starts_with(folder)));
    let prepared = prepare(&mut connection, statements)
        .await
        .expect("they fit");
    assert!(!prepared.is_empty(), "no statement in {folders:?}");

    // What a session has prepared stays when it takes a role.
    let role = format!("SET ROLE {}", role.name());
    connection
        .execute(AssertSqlSafe(role))
        .await
        .expect("a role");
    let denied = failing(&mut connection, &prepared, &[DENIED]).await;
    denied.into_iter().map(|failed| failed.place).collect()
}

#[tokio::test]
async fn every_role_may_run_its_statements() {
    let database = TestDatabase::new().await.expect("a database");

    for (role, folders) in [
        (Role::Api, &["api/src"][..]),
        (Role::Ingest, &["ingest/src"]),
        (Role::Read, &["migrations/src/verify"]),
    ] {
        let denied = denied_to(&database, role, folders).await;
        assert!(denied.is_empty(), "{}: {denied:#?}", role.name());
    }
}

#[tokio::test]
async fn every_statement_of_the_store_is_permitted_to_a_service() {
    let database = TestDatabase::new().await.expect("a database");

    let api = denied_to(&database, Role::Api, &["shared/store/src"]).await;
    let ingest = denied_to(&database, Role::Ingest, &["shared/store/src"]).await;

    let neither: Vec<_> = api.intersection(&ingest).collect();
    assert!(
        neither.is_empty(),
        "extend migrations/src/roles/rights.rs: {neither:#?}"
    );
    // Otherwise the roles were not in effect.
    assert!(!api.is_empty() && !ingest.is_empty());
}
