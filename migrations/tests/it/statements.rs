//! Tests that every constant statement of the production code fits the schema, also after a newer program adds columns.

mod constants;
mod permitted;
mod source;

use crate::entities::selects;
use source::Source;
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use std::collections::BTreeSet;
use tiris_testing::TestDatabase;

/// Expressions that build a statement at run time, with the reason.
const BUILT: [(&str, &str); 6] = [
    (
        "declare",
        "a cursor over a constant query, which is checked separately",
    ),
    (
        r#"format ! ("DECLARE {name} NO SCROLL CURSOR FOR {query}")"#,
        "the same",
    ),
    ("self . fetch . as_str ()", "fetches from that cursor"),
    ("trace :: begin_statement ()", "names no table"),
    ("statement . clone ()", "creates a role, or makes a grant"),
    ("statement", "acts as the owner"),
];

/// Statements that PostgreSQL cannot prepare.
const WITHOUT_PLAN: [&str; 4] = ["BEGIN", "FETCH", "CLOSE", "LOCK"];

/// Errors of a running process after a newer migration: a changed result type, or a missing column.
const BROKEN: [&str; 2] = ["0A000", "42703"];

/// A prepared statement of a connection.
#[derive(Debug)]
struct Prepared {
    name: String,
    parameters: usize,
    place: String,
}

impl Prepared {
    /// Returns the statement that runs it with NULLs.
    fn run(&self) -> String {
        let values = vec!["NULL"; self.parameters].join(", ");
        match self.parameters {
            0 => format!("EXECUTE {}", self.name),
            _ => format!("EXECUTE {}({values})", self.name),
        }
    }
}

/// Prepares every statement; returns those that do not fit the schema as an error.
async fn prepare(
    connection: &mut PgConnection,
    statements: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<Prepared>, Vec<String>> {
    let mut prepared = Vec::new();
    let mut refused = Vec::new();

    for (number, (file, text)) in statements.into_iter().enumerate() {
        let name = format!("statement_{number}");
        let text = without_cursor(&text);
        let made = connection
            .execute(AssertSqlSafe(format!("PREPARE {name} AS {text}")))
            .await;

        match made {
            Ok(_) => prepared.push(Prepared {
                parameters: parameters(connection, &name).await,
                name,
                place: format!("{file}: {text}"),
            }),
            Err(error) => refused.push(format!("{file}: {text}: {error}")),
        }
    }

    if refused.is_empty() {
        Ok(prepared)
    } else {
        Err(refused)
    }
}

/// Returns the query of a cursor, or the statement itself.
fn without_cursor(text: &str) -> &str {
    match text.split_once("CURSOR FOR") {
        Some((declare, query)) if declare.starts_with("DECLARE") => query,
        _ => text,
    }
}

async fn parameters(connection: &mut PgConnection, name: &str) -> usize {
    let count: i32 = sqlx::query_scalar(
        "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = $1",
    )
    .bind(name)
    .fetch_one(connection)
    .await
    .expect("prepared");

    usize::try_from(count).expect("a count")
}

/// Adds a column to every table, like a migration of a newer program.
async fn add_columns(database: &TestDatabase) {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regclass::text FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition",
    )
    .fetch_all(database.pool())
    .await
    .expect("tables");

    for table in tables {
        let add = format!("ALTER TABLE {table} ADD COLUMN column_of_a_newer_program text");
        database
            .pool()
            .execute(AssertSqlSafe(add))
            .await
            .expect(&table);
    }
}

/// A statement that failed.
#[derive(Debug)]
struct Failed {
    place: String,
    error: String,
}

/// Runs the prepared statements with NULLs in a rolled back transaction; returns those that fail with one of the codes.
async fn failing(
    connection: &mut PgConnection,
    prepared: &[Prepared],
    codes: &[&str],
) -> Vec<Failed> {
    let mut failed = Vec::new();
    connection.execute("BEGIN").await.expect("a transaction");

    for statement in prepared {
        connection
            .execute("SAVEPOINT before")
            .await
            .expect("a savepoint");
        let ran = connection.execute(AssertSqlSafe(statement.run())).await;
        connection
            .execute("ROLLBACK TO before")
            .await
            .expect("rolled back");

        if let Err(error) = ran {
            let database = error.as_database_error().expect("an error of the database");
            let code = database.code().unwrap_or_default();
            if codes.contains(&code.as_ref()) {
                failed.push(Failed {
                    place: statement.place.clone(),
                    error: error.to_string(),
                });
            }
        }
    }

    connection.execute("ROLLBACK").await.expect("rolled back");
    failed
}

fn of_the_code() -> Source {
    let mut source = source::read();
    source
        .statements
        .retain(|(_, text)| !WITHOUT_PLAN.iter().any(|verb| text.starts_with(verb)));

    source
}

#[tokio::test]
async fn running_processes_survive_new_columns() {
    let database = TestDatabase::new().await.expect("a database");
    let mut connection = database.pool().acquire().await.expect("a connection");
    let entities = selects()
        .into_iter()
        .map(|text| ("entity".to_owned(), text));
    let statements = of_the_code().statements.into_iter().chain(entities);

    let prepared = prepare(&mut connection, statements)
        .await
        .unwrap_or_else(|refused| panic!("{}", refused.join("\n")));
    assert!(prepared.len() > 150, "{} statements", prepared.len());
    add_columns(&database).await;

    let broken = failing(&mut connection, &prepared, &BROKEN).await;
    let broken = broken
        .iter()
        .map(|Failed { place, error }| format!("{place}: {error}"));
    let broken: Vec<String> = broken.collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn finds_a_statement_whose_columns_follow_the_table() {
    let database = TestDatabase::new().await.expect("a database");
    let mut connection = database.pool().acquire().await.expect("a connection");
    let statements = [
        "SELECT * FROM users WHERE id = $1",
        "SELECT id FROM users WHERE id = $1",
        "DELETE FROM oauth_states WHERE state = $1 RETURNING *",
        "WITH found AS (SELECT t.* FROM tradings t) SELECT id FROM found",
    ];
    let statements = statements.map(|text| ("x.rs".to_owned(), text.to_owned()));

    let prepared = prepare(&mut connection, statements)
        .await
        .expect("they fit");
    add_columns(&database).await;
    let broken = failing(&mut connection, &prepared, &BROKEN).await;

    assert_eq!(broken.len(), 2, "{broken:?}");
    let places = broken.iter().map(|failed| failed.place.as_str());
    let places: Vec<&str> = places.collect();
    assert!(places[0].contains("SELECT * FROM users"), "{broken:?}");
    assert!(places[1].contains("RETURNING *"), "{broken:?}");
}

#[tokio::test]
async fn finds_a_misspelt_column() {
    let database = TestDatabase::new().await.expect("a database");
    let mut connection = database.pool().acquire().await.expect("a connection");
    let statements = [("x.rs".to_owned(), "SELECT usrname FROM users".to_owned())];

    let refused = prepare(&mut connection, statements)
        .await
        .expect_err("refused");

    assert!(refused[0].contains("usrname"), "{refused:?}");
}

#[test]
fn finds_statements_in_every_kind_of_expression() {
    let mut source = Source::default();
    let text = r#"
        //! SELECT no_statement
        const A: &str = "SELECT a";
        const PAIR: [(&str, &str); 1] = [("x", "DELETE FROM b")];
        macro_rules! of { ($table:literal, $table_key:literal) => { concat!("FROM ", $table, $table_key) } }
        const JOINED: &str = concat!("SELECT c ", of!("h", ""));
        macro_rules! select { ($rest:literal) => { concat!("SELECT j FROM k ", $rest) } }
        fn f() {
            sqlx::query("commit prepared d");
            sqlx::query(select!("WHERE l = 1"));
            tokio::join!(sqlx::query("UPDATE e SET f = 1"));
            sqlx::query(AssertSqlSafe(format!("SELECT {x} FROM g")));
            QueryBuilder::new(format!("{A} FROM i WHERE id = "));
        }
        #[cfg(test)]
        mod tests { const T: &str = "SELECT t"; }
    "#;

    source.add("x.rs", text);

    let found: Vec<&str> = source
        .statements
        .iter()
        .map(|(_, text)| text.as_str())
        .collect();
    let expected = [
        "DELETE FROM b",
        "SELECT a",
        "SELECT a FROM i WHERE id = $1",
        "SELECT c FROM h",
        "SELECT j FROM k WHERE l = 1",
        "UPDATE e SET f = 1",
        "commit prepared d",
    ];
    assert_eq!(found, expected);
    assert_eq!(source.built.len(), 1, "{:?}", source.built);
}

#[test]
fn statements_are_built_at_run_time_only_with_a_reason() {
    let built = of_the_code().built;
    let known = BTreeSet::from(BUILT.map(|(expression, _)| expression.to_owned()));

    let unknown: Vec<&String> = built.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
