//! Compares the grants of a database with the list and corrects the differences.

use super::rights::{FUNCTIONS, Role, TABLES};
use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use std::collections::BTreeSet;

/// The grantee of a privilege that everyone has.
const EVERYONE: &str = "PUBLIC";

/// A privilege on a table, a column or a function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::FromRow)]
struct Grant {
    /// As a statement names it: `TABLE users`, `FUNCTION record_audit`.
    object: String,
    /// Empty for the whole table.
    column_name: String,
    privilege: String,
    grantee: String,
}

impl Grant {
    fn privilege(&self) -> String {
        match self.column_name.as_str() {
            "" => self.privilege.clone(),
            column => format!("{} (\"{column}\")", self.privilege),
        }
    }
}

/// Makes the grants of the list, and takes all others on the same tables and functions from the roles and from everyone.
/// Grants to other roles stay. Without a difference it changes nothing.
pub(crate) async fn apply(connection: &mut PgConnection) -> Result<()> {
    let wanted = wanted();

    for grant in present(connection).await?.difference(&wanted) {
        let privilege = grant.privilege();
        let object = &grant.object;
        let grantee = &grant.grantee;
        let statement = format!("REVOKE {privilege} ON {object} FROM {grantee}");
        run(connection, statement).await?;
    }
    // Read again, because a privilege that is taken from a table is taken from its columns.
    let present = present(connection).await?;
    for grant in wanted.difference(&present) {
        let privilege = grant.privilege();
        let object = &grant.object;
        let grantee = &grant.grantee;
        let statement = format!("GRANT {privilege} ON {object} TO {grantee}");
        run(connection, statement).await?;
    }

    close_schema(connection).await?;
    close_database(connection).await
}

/// Returns the grants of the list.
fn wanted() -> BTreeSet<Grant> {
    let mut grants = BTreeSet::new();

    for rights in TABLES {
        for role in Role::ALL {
            for right in rights.of(role) {
                let grant = |column: &str| Grant {
                    object: format!("TABLE {}", rights.table),
                    column_name: column.to_owned(),
                    privilege: right.privilege().to_owned(),
                    grantee: role.name().to_owned(),
                };
                match right.columns() {
                    [] => grants.extend([grant("")]),
                    columns => grants.extend(columns.iter().map(|column| grant(column))),
                }
            }
        }
    }
    for rights in FUNCTIONS {
        grants.extend(rights.callers.iter().map(|role| Grant {
            object: format!("FUNCTION {}", rights.function),
            column_name: String::new(),
            privilege: "EXECUTE".to_owned(),
            grantee: role.name().to_owned(),
        }));
    }
    grants
}

/// Returns the grants to the roles and to everyone that the database has.
async fn present(connection: &mut PgConnection) -> Result<BTreeSet<Grant>> {
    let tables: Vec<&str> = TABLES.iter().map(|rights| rights.table).collect();
    let functions: Vec<&str> = FUNCTIONS.iter().map(|rights| rights.function).collect();
    let roles: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();

    let grants: Vec<Grant> = sqlx::query_as(
        "WITH acl AS (
             SELECT 'TABLE ' || c.relname AS object, '' AS column_name, a.grantee, a.privilege_type
             FROM pg_class c, aclexplode(c.relacl) a
             WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY($1)
             UNION ALL
             SELECT 'TABLE ' || c.relname, t.attname, a.grantee, a.privilege_type
             FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
             WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY($1)
             UNION ALL
             SELECT 'FUNCTION ' || p.proname, '', a.grantee, a.privilege_type
             FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
             WHERE p.pronamespace = 'public'::regnamespace AND p.proname = ANY($2))
         SELECT object, column_name, privilege_type AS privilege,
                CASE grantee WHEN 0 THEN $4 ELSE pg_get_userbyid(grantee)::text END AS grantee
         FROM acl WHERE grantee = 0 OR pg_get_userbyid(grantee) = ANY($3)",
    )
    .bind(tables)
    .bind(functions)
    .bind(roles)
    .bind(EVERYONE)
    .fetch_all(connection)
    .await?;
    Ok(grants.into_iter().collect())
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<()> {
    connection
        .execute(AssertSqlSafe(statement.clone()))
        .await
        .with_context(|| format!("{statement} failed"))?;
    Ok(())
}

/// Lets the roles use the schema, and lets only its owner create in it. PostgreSQL before 15 created schemas in which
/// everyone may.
async fn close_schema(connection: &mut PgConnection) -> Result<()> {
    let roles = Role::ALL.map(Role::name);
    let can_use: bool = sqlx::query_scalar(
        "SELECT bool_and(has_schema_privilege(role, 'public', 'USAGE')) FROM UNNEST($1::text[]) AS role",
    )
    .bind(&roles[..])
    .fetch_one(&mut *connection)
    .await?;
    if !can_use {
        let statement = format!("GRANT USAGE ON SCHEMA public TO {}", roles.join(", "));
        run(connection, statement).await?;
    }

    let state = "SELECT has_schema_privilege('tiris_read', 'public', 'CREATE') AS is_open,
                        pg_has_role(current_user, nspowner, 'USAGE') AS is_ours
                 FROM pg_namespace WHERE nspname = 'public'";
    revoke_from_everyone(
        connection,
        state,
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )
    .await
}

/// Takes the right to create temporary tables from everyone.
async fn close_database(connection: &mut PgConnection) -> Result<()> {
    let name: String = sqlx::query_scalar("SELECT quote_ident(current_database())")
        .fetch_one(&mut *connection)
        .await?;
    let state = "SELECT has_database_privilege('tiris_read', oid, 'TEMPORARY') AS is_open,
                        pg_has_role(current_user, datdba, 'USAGE') AS is_ours
                 FROM pg_database WHERE datname = current_database()";
    let revoke = format!("REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC");
    revoke_from_everyone(connection, state, &revoke).await
}

/// Whether everyone has a right.
#[derive(sqlx::FromRow)]
struct Openness {
    is_open: bool,
    /// Whether this session may take the right away.
    is_ours: bool,
}

/// Takes a right from everyone, or warns with the statement for an administrator when another role owns the object.
async fn revoke_from_everyone(
    connection: &mut PgConnection,
    state: &'static str,
    revoke: &str,
) -> Result<()> {
    let state: Openness = sqlx::query_as(state).fetch_one(&mut *connection).await?;
    match state {
        Openness { is_open: false, .. } => Ok(()),
        Openness { is_ours: true, .. } => run(connection, revoke.to_owned()).await,
        Openness { is_ours: false, .. } => {
            tracing::warn!(
                "the roles may do more than they need: let an administrator run: {revoke}"
            );
            Ok(())
        }
    }
}
