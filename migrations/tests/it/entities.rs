//! The entities are the tables: same columns, same types, same keys.

use sea_orm::{
    ColumnTrait, ColumnType, EntityTrait, Iden, IdenStatic, Iterable, PrimaryKeyToColumn,
};
use std::collections::BTreeMap;
use tiris_store::entity;
use tiris_testing::TestDatabase;

/// Column name to type, nullability and membership in the primary key.
type Columns = BTreeMap<String, (String, bool, bool)>;

fn type_name(column: &ColumnType) -> String {
    match column {
        ColumnType::Uuid => "uuid".into(),
        ColumnType::Text => "text".into(),
        ColumnType::JsonBinary => "jsonb".into(),
        ColumnType::TimestampWithTimeZone => "timestamptz".into(),
        ColumnType::Date => "date".into(),
        ColumnType::Boolean => "bool".into(),
        ColumnType::SmallInteger => "int2".into(),
        ColumnType::Integer => "int4".into(),
        ColumnType::BigInteger => "int8".into(),
        ColumnType::Binary(_) | ColumnType::VarBinary(_) | ColumnType::Blob => "bytea".into(),
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
        let is_key = keys.contains(&name);
        (
            name,
            (
                type_name(definition.get_column_type()),
                definition.is_null(),
                is_key,
            ),
        )
    });
    (E::default().table_name().to_owned(), columns.collect())
}

/// Generated columns are left out: an entity cannot write them.
async fn columns_in(database: &TestDatabase, table: &str) -> Columns {
    let rows: Vec<(String, String, bool, bool)> = sqlx::query_as(
        "SELECT a.attname::text,
                CASE t.typname WHEN 'numeric' THEN format_type(a.atttypid, a.atttypmod)
                               WHEN '_text' THEN '_text' ELSE t.typname::text END,
                NOT a.attnotnull,
                EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey))
         FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
         WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''",
    )
    .bind(table)
    .fetch_all(database.pool())
    .await
    .expect(table);
    rows.into_iter()
        .map(|(name, kind, nullable, key)| (name, (kind, nullable, key)))
        .collect()
}

macro_rules! entities {
    ($($table:ident),+ $(,)?) => {
        vec![$(columns_of::<entity::$table::Entity>()),+]
    };
}

#[tokio::test]
async fn the_schema_equals_the_entities() {
    let entities = entities![
        audit_logs,
        bare_publishers,
        bots,
        dead_letters,
        exchange_bindings,
        holds,
        idempotency_keys,
        ingest_lanes,
        ingest_workers,
        oauth_identities,
        oauth_states,
        processed_events,
        replay_jobs,
        sessions,
        sub_accounts,
        trading_logs,
        tradings,
        transactions,
        users,
    ];
    let database = TestDatabase::new().await.expect("a database");
    for (table, columns) in &entities {
        assert_eq!(*columns, columns_in(&database, table).await, "{table}");
    }
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
           AND relname NOT IN ('seaql_migrations', 'history_horizons') ORDER BY relname",
    )
    .fetch_all(database.pool())
    .await
    .expect("tables");
    assert_eq!(
        entities
            .into_iter()
            .map(|(table, _)| table)
            .collect::<Vec<_>>(),
        tables
    );
}

#[tokio::test]
async fn a_row_goes_in_and_out_through_its_entity() {
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
