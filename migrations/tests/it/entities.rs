//! Tests that tables match the snapshot, and entities match the tables: columns, types and keys.

use sea_orm::{
    ColumnTrait, ColumnType, DbBackend, EntityTrait, Iden, IdenStatic, Iterable,
    PrimaryKeyToColumn, QueryTrait, sea_query::StringLen,
};
use std::collections::BTreeMap;
use std::fmt::Write;
use tiris_store::entity;
use tiris_testing::TestDatabase;

/// All tables with all their columns.
const SNAPSHOT: &str = include_str!("schema.txt");

/// The definition of a column.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
struct Column {
    kind: String,
    is_null: bool,
    is_key: bool,
    is_generated: bool,
}

/// Columns by name.
type Columns = BTreeMap<String, Column>;

fn type_name(column: &ColumnType) -> String {
    match column {
        ColumnType::Uuid => "uuid".into(),
        ColumnType::Text | ColumnType::String(StringLen::None) => "text".into(),
        ColumnType::JsonBinary => "jsonb".into(),
        ColumnType::TimestampWithTimeZone => "timestamptz".into(),
        ColumnType::Date => "date".into(),
        ColumnType::Boolean => "bool".into(),
        ColumnType::SmallInteger => "int2".into(),
        ColumnType::Integer => "int4".into(),
        ColumnType::BigInteger => "int8".into(),
        ColumnType::Binary(_) | ColumnType::VarBinary(_) | ColumnType::Blob => "bytea".into(),
        ColumnType::Decimal(None) => "numeric".into(),
        ColumnType::Decimal(Some((precision, scale))) => format!("numeric({precision},{scale})"),
        ColumnType::Array(element) => format!("_{}", type_name(element)),
        other => format!("{other:?}"),
    }
}

fn columns_of<E: EntityTrait>() -> (String, Columns) {
    let keys: Vec<String> = E::PrimaryKey::iter()
        .map(|key| key.into_column().as_str().to_owned())
        .collect();
    let columns = E::Column::iter().map(|column| {
        let name = column.to_string();
        let definition = column.def();
        let described = Column {
            kind: type_name(definition.get_column_type()),
            is_null: definition.is_null(),
            is_key: keys.contains(&name),
            is_generated: false,
        };

        (name, described)
    });

    (E::default().table_name().to_owned(), columns.collect())
}

/// A column in the catalog of PostgreSQL.
#[derive(sqlx::FromRow)]
struct Row {
    table: String,
    name: String,
    #[sqlx(flatten)]
    column: Column,
}

/// Returns all tables except those that only migrations use.
async fn tables(database: &TestDatabase) -> BTreeMap<String, Columns> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT c.relname::text AS table, a.attname::text AS name,
                CASE t.typname WHEN 'numeric' THEN format_type(a.atttypid, a.atttypmod) ELSE t.typname::text END AS kind,
                NOT a.attnotnull AS is_null, a.attgenerated <> '' AS is_generated,
                EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary
                        AND a.attnum = ANY (i.indkey)) AS is_key
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND c.relname NOT IN ('seaql_migrations', 'history_horizons') AND a.attnum > 0 AND NOT a.attisdropped",
    )
    .fetch_all(database.pool())
    .await
    .expect("columns");
    let mut tables = BTreeMap::<String, Columns>::new();

    for row in rows {
        tables
            .entry(row.table)
            .or_default()
            .insert(row.name, row.column);
    }

    tables
}

macro_rules! of_all_entities {
    ($function:ident) => {
        vec![
            $function::<entity::audit_logs::Entity>(),
            $function::<entity::bots::Entity>(),
            $function::<entity::dead_letters::Entity>(),
            $function::<entity::exchange_bindings::Entity>(),
            $function::<entity::holds::Entity>(),
            $function::<entity::orders::Entity>(),
            $function::<entity::sessions::Entity>(),
            $function::<entity::sub_accounts::Entity>(),
            $function::<entity::trading_logs::Entity>(),
            $function::<entity::tradings::Entity>(),
            $function::<entity::transactions::Entity>(),
            $function::<entity::users::Entity>(),
        ]
    };
}

fn select<E: EntityTrait>() -> String {
    E::find().build(DbBackend::Postgres).sql
}

/// Returns the SELECT statement of each entity.
pub(crate) fn selects() -> Vec<String> {
    of_all_entities!(select)
}

#[tokio::test]
async fn the_entities_match_the_tables() {
    let database = TestDatabase::new().await.expect("a database");
    let mut tables = tables(&database).await;

    for (table, columns) in of_all_entities!(columns_of) {
        let mut stored = tables.remove(&table).expect(&table);
        // Entities leave out generated columns, because PostgreSQL rejects values for them.
        stored.retain(|_, column| !column.is_generated);

        assert_eq!(columns, stored, "{table}");
    }
}

#[tokio::test]
async fn the_schema_matches_the_snapshot() {
    let database = TestDatabase::new().await.expect("a database");
    let mut found = String::new();

    for (table, columns) in tables(&database).await {
        writeln!(found, "{table}").expect("written");
        for (name, column) in columns {
            let null = if column.is_null { " null" } else { "" };
            let key = if column.is_key { " key" } else { "" };
            let generated = if column.is_generated {
                " generated"
            } else {
                ""
            };
            let kind = column.kind;
            writeln!(found, "  {name} {kind}{null}{key}{generated}").expect("written");
        }
    }

    assert_eq!(found, SNAPSHOT, "the schema is now:\n{found}");
}

#[tokio::test]
async fn a_row_round_trips_through_its_entity() {
    use sea_orm::{ActiveModelTrait, NotSet, Set, SqlxPostgresConnector};
    let database = TestDatabase::new().await.expect("a database");
    let connection = SqlxPostgresConnector::from_sqlx_postgres_pool(database.pool().clone());
    let now = tiris_domain::ids::time_of(tiris_domain::ids::new_id()).expect("v7");
    let letter = entity::dead_letters::ActiveModel {
        id: Set(tiris_domain::ids::new_id()),
        stream: Set("TRADING".into()),
        lane: Set(1),
        stream_created_at: Set(1_700_000_000_123_456_789),
        stream_seq: Set(5),
        subject: Set("trading.errors".into()),
        payload: Set(vec![0, 255]),
        headers: Set(sea_orm::JsonValue::Array(vec![])),
        class: Set("malformed".into()),
        code: Set("NOT_JSON".into()),
        reason: Set("no".into()),
        attempts: Set(0),
        status: Set("open".into()),
        created_at: Set(now),
        updated_at: NotSet,
        ..Default::default()
    };

    let stored = letter.insert(&connection).await.expect("inserted");
    let read = entity::dead_letters::Entity::find_by_id(stored.id)
        .one(&connection)
        .await
        .expect("read");

    assert_eq!(read.as_ref(), Some(&stored));
    assert_eq!(stored.created_at, now);
    assert_eq!(stored.payload, [0, 255]);
}
