//! Tests that the database grants exactly what the list says.

use crate::book::{run, text};
use crate::history::convert;
use sqlx::Row;
use std::collections::BTreeSet;
use tiris_migrations::roles::rights::{FUNCTIONS, Role, TABLES};
use tiris_migrations::{HistoryKind, up};
use tiris_testing::TestDatabase;

/// All privileges of others than the owner on the relations, columns, functions of the owner, the schema and the database.
const GRANTED: &str = "
    WITH acl AS (
        SELECT c.relname || '' AS object, a.* FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.relnamespace = 'public'::regnamespace AND a.grantee <> c.relowner
        UNION ALL
        SELECT c.relname || '.' || t.attname, a.* FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid,
            aclexplode(t.attacl) a
        WHERE c.relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT p.proname || '()', a.* FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef AND a.grantee <> p.proowner
        UNION ALL
        SELECT 'schema', a.* FROM pg_namespace n, aclexplode(n.nspacl) a
        WHERE n.nspname = 'public' AND a.grantee <> n.nspowner
        UNION ALL
        SELECT 'database', a.* FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
        WHERE d.datname = current_database() AND a.grantee <> d.datdba
        UNION ALL
        SELECT format('default of %s', d.defaclobjtype), a.* FROM pg_default_acl d, aclexplode(d.defaclacl) a)
    SELECT format('%s %s %s', object, privilege_type,
        CASE grantee WHEN 0 THEN 'everyone' ELSE pg_get_userbyid(grantee) END) FROM acl";

/// Relations that the list must name.
const RELATIONS: &str = "
    SELECT c.relname::text FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT c.relispartition
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')";

/// Functions that run as their owner, with what makes them unsafe.
const DEFINERS: &str = "
    SELECT p.proname || CASE WHEN p.proconfig @> ARRAY['search_path=public, pg_temp'] THEN '' ELSE ' without search_path' END
        || CASE WHEN p.proowner = t.relowner THEN '' ELSE ' of another owner' END
    FROM pg_proc p, pg_class t
    WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace AND t.oid = 'transactions'::regclass
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')";

async fn set(database: &TestDatabase, query: &'static str) -> BTreeSet<String> {
    let rows = sqlx::query(query)
        .fetch_all(database.pool())
        .await
        .expect(query);
    rows.iter().map(|row| row.get(0)).collect()
}

/// Returns the grants of the list, as [`GRANTED`] shows them.
fn listed() -> BTreeSet<String> {
    // Of PostgreSQL: everyone may connect and see which tables exist.
    let mut listed =
        BTreeSet::from(["schema USAGE everyone", "database CONNECT everyone"].map(str::to_owned));

    for rights in TABLES {
        for role in Role::ALL {
            for right in rights.of(role) {
                let table = rights.table;
                let privilege = right.privilege();
                let name = role.name();
                let columns = right.columns().iter();
                listed.extend(columns.map(|column| format!("{table}.{column} {privilege} {name}")));
                if right.columns().is_empty() {
                    listed.insert(format!("{table} {privilege} {name}"));
                }
            }
        }
    }
    for rights in FUNCTIONS {
        let callers = rights.callers.iter();
        listed.extend(callers.map(|role| format!("{}() EXECUTE {}", rights.function, role.name())));
    }
    listed
}

#[track_caller]
fn assert_same(granted: &BTreeSet<String>, listed: &BTreeSet<String>) {
    let more: Vec<_> = granted.difference(listed).collect();
    let less: Vec<_> = listed.difference(granted).collect();
    assert!(
        more.is_empty() && less.is_empty(),
        "more is granted than listed: {more:#?}; listed, but not granted: {less:#?}"
    );
}

#[tokio::test]
async fn the_database_grants_exactly_what_is_listed() {
    for database in TestDatabase::of_each_kind().await.expect("databases") {
        assert_same(&set(&database, GRANTED).await, &listed());
    }
}

#[tokio::test]
async fn every_table_and_view_is_listed() {
    for database in TestDatabase::of_each_kind().await.expect("databases") {
        let listed: BTreeSet<String> = TABLES.iter().map(|row| row.table.to_owned()).collect();

        let relations = set(&database, RELATIONS).await;

        assert_eq!(
            relations, listed,
            "add the table to TABLES in migrations/src/roles/rights.rs"
        );
    }
}

#[tokio::test]
async fn every_function_of_the_owner_is_listed_and_safe() {
    let database = TestDatabase::new().await.expect("a database");
    let listed: BTreeSet<String> = FUNCTIONS
        .iter()
        .map(|row| row.function.to_owned())
        .collect();

    assert_eq!(set(&database, DEFINERS).await, listed);
}

#[tokio::test]
async fn the_roles_have_no_rights_on_the_server() {
    let database = TestDatabase::new().await.expect("a database");
    let powers = "SELECT coalesce(string_agg(rolname, ', '), '') FROM pg_roles WHERE rolname LIKE 'tiris\\_%' AND (rolsuper
        OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
        OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = pg_roles.oid))";

    assert_eq!(text(&database, powers).await, "");
}

#[tokio::test]
async fn up_corrects_grants_and_leaves_those_of_other_roles() {
    let database = TestDatabase::new().await.expect("a database");
    let drift = "GRANT UPDATE, DELETE ON transactions TO tiris_api; GRANT SELECT ON users TO PUBLIC;
        GRANT SELECT (refresh_token_hash) ON sessions TO tiris_read; GRANT SELECT ON oauth_states TO tiris_read;
        GRANT EXECUTE ON FUNCTION upkeep_retention TO PUBLIC; REVOKE INSERT ON trading_logs FROM tiris_ingest;
        REVOKE UPDATE (balance) ON sub_accounts FROM tiris_ingest; GRANT CREATE ON SCHEMA public TO PUBLIC;
        GRANT SELECT ON users TO pg_monitor";
    run(&database, drift).await;

    up(database.url()).await.expect("up");

    let mut granted = set(&database, GRANTED).await;
    assert!(granted.remove("users SELECT pg_monitor"), "{granted:?}");
    assert_same(&granted, &listed());
}

#[tokio::test]
async fn a_conversion_of_the_history_keeps_the_grants() {
    let Some(database) = TestDatabase::timescale().await.expect("a database") else {
        return;
    };

    for kind in [HistoryKind::Native, HistoryKind::Timescale] {
        assert!(convert(&database, kind).await);
        assert_same(&set(&database, GRANTED).await, &listed());
    }
}
