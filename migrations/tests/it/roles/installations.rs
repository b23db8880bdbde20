//! Tests of installations with other users: without the right to create roles, with one user for everything, and with
//! logins of any name.

use crate::cli::migrate;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use tiris_migrations::roles::rights::Role;
use tiris_testing::PgServer;

/// A server without the roles, with the database `books` of the user `app`, who is no superuser.
struct Managed {
    server: PgServer,
    admin: PgConnection,
}

impl Managed {
    async fn start() -> Self {
        let server = PgServer::private().await.expect("a server");
        let mut admin = PgConnection::connect(&server.url("postgres"))
            .await
            .expect("a connection");
        for statement in [
            "DROP ROLE tiris_owner, tiris_api, tiris_ingest, tiris_read",
            "CREATE ROLE app LOGIN",
            "CREATE DATABASE books OWNER app",
        ] {
            admin.execute(statement).await.expect(statement);
        }
        Self { server, admin }
    }

    fn url(&self, user: &str) -> String {
        let url = self.server.url("books");
        url.replacen("tiris@", &format!("{user}@"), 1)
    }

    async fn pool(&self, user: &str) -> PgPool {
        PgPool::connect(&self.url(user)).await.expect("a pool")
    }

    async fn administer(&mut self, statements: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&mut self.admin)
            .await;
        done.expect(statements);
    }
}

const USER: &str = "INSERT INTO users (id, username) VALUES (gen_random_uuid(), 'ann')";
const DELETE: &str = "DELETE FROM users";

#[tokio::test]
async fn an_owner_who_may_not_create_roles_is_given_the_statements() {
    let mut managed = Managed::start().await;
    let url = managed.url("app");

    let refused = migrate(&url, &["up"]).await;
    let missing = "CREATE ROLE tiris_api; CREATE ROLE tiris_ingest; CREATE ROLE tiris_read;";
    refused.ended(1, missing);
    managed.administer(missing).await;
    migrate(&url, &["up"]).await.ended(0, "applied m0015_roles");

    // Programs that use the owner as before go on.
    let app = managed.pool("app").await;
    app.execute(USER).await.expect("as before");
    let audit = "SELECT record_audit(gen_random_uuid(), NULL, NULL, NULL, NULL, NULL, 'a', 'b', NULL, NULL, NULL), \
                 upkeep_partitions(3), upkeep_statistics(), upkeep_retention('audit_logs', interval '1 year')";
    app.execute(audit).await.expect("the functions");

    // Logins of any name are members.
    managed
        .administer("CREATE ROLE rest LOGIN IN ROLE tiris_api; CREATE ROLE dashboard LOGIN IN ROLE tiris_read")
        .await;
    let rest = managed.pool("rest").await;
    rest.execute("UPDATE users SET full_name = 'Ann'")
        .await
        .expect("of the API");
    rest.execute(DELETE).await.expect_err("not of the API");
    let dashboard = managed.pool("dashboard").await;
    dashboard
        .execute("SELECT * FROM users")
        .await
        .expect("of readers");
    dashboard.execute(USER).await.expect_err("not of readers");
    migrate(&managed.url("dashboard"), &["verify"])
        .await
        .ended(0, "");
    migrate(&managed.url("dashboard"), &["status"])
        .await
        .ended(0, "m0015_roles");
    for pool in [app, rest, dashboard] {
        pool.close().await;
    }
}

#[tokio::test]
async fn an_owner_who_may_create_roles_creates_them() {
    let mut managed = Managed::start().await;
    managed.administer("ALTER ROLE app CREATEROLE").await;

    migrate(&managed.url("app"), &["up"])
        .await
        .ended(0, "applied m0015_roles");

    let can_log_in: Vec<(String, bool)> = sqlx::query_as(
        "SELECT rolname::text, rolcanlogin FROM pg_roles WHERE rolname LIKE 'tiris\\_%' ORDER BY 1",
    )
    .fetch_all(&mut managed.admin)
    .await
    .expect("roles");
    assert_eq!(
        can_log_in,
        Role::ALL.map(|role| (role.name().to_owned(), false))
    );
}

#[tokio::test]
async fn tables_belong_to_the_owner_whoever_migrates() {
    let mut managed = Managed::start().await;
    managed
        .administer("CREATE ROLE deploy LOGIN CREATEROLE; GRANT app TO deploy")
        .await;

    // A member of the owner, and a superuser.
    migrate(&managed.url("deploy"), &["up"])
        .await
        .ended(0, "applied m0015_roles");
    migrate(&managed.url("deploy"), &["down", "--yes"])
        .await
        .ended(0, "reverted");
    migrate(&managed.url("tiris"), &["up"])
        .await
        .ended(0, "applied");

    let mut connection = PgConnection::connect(&managed.url("app"))
        .await
        .expect("a connection");
    let owners: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
         UNION SELECT pg_get_userbyid(proowner)::text FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
             AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')",
    )
    .fetch_all(&mut connection)
    .await
    .expect("owners");
    assert_eq!(owners, ["app"]);
}
