//! The partitions of the history tables: native ones or chunks of TimescaleDB.

use sqlx::PgPool;
use sqlx::types::chrono::{DateTime, Utc};
use std::collections::HashMap;

/// A partition, compressed or not.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Partition {
    /// The partitioned table.
    pub history: String,
    /// Start of its time range.
    pub from: DateTime<Utc>,
    /// End of its time range, exclusive.
    pub until: DateTime<Utc>,
}

const NATIVE: &str = "
    SELECT c.relname::text AS name, p.relname::text AS history, bounds[1]::timestamptz AS from,
        bounds[2]::timestamptz AS until
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent,
        regexp_match(pg_get_expr(c.relpartbound, c.oid), '\\(''(.*)''\\) TO \\(''(.*)''\\)') bounds
    WHERE p.relname IN ('transactions', 'trading_logs', 'audit_logs') AND c.relkind = 'r'";

const TIMESCALE: &str = "
    SELECT name::text, i.hypertable_name::text AS history, i.range_start AS from, i.range_end AS until
    FROM timescaledb_information.chunks i
        JOIN _timescaledb_catalog.chunk c ON c.table_name = i.chunk_name
        LEFT JOIN _timescaledb_catalog.chunk d ON d.id = c.compressed_chunk_id,
        LATERAL (VALUES (c.table_name), (d.table_name)) names (name)
    WHERE i.hypertable_name IN ('transactions', 'trading_logs', 'audit_logs') AND name IS NOT NULL";

/// Returns all partitions by the name of their relation, as plans show it.
pub async fn partitions(pool: &PgPool) -> anyhow::Result<HashMap<String, Partition>> {
    #[derive(sqlx::FromRow)]
    struct Named {
        name: String,
        #[sqlx(flatten)]
        partition: Partition,
    }
    let kind: String = sqlx::query_scalar("SELECT history_kind()")
        .fetch_one(pool)
        .await?;
    let query = if kind == "native" { NATIVE } else { TIMESCALE };
    let named: Vec<Named> = sqlx::query_as(query).fetch_all(pool).await?;
    let named = named.into_iter();
    Ok(named.map(|named| (named.name, named.partition)).collect())
}
