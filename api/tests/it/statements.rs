//! The statements of the API, as the database reports them.

mod cost;
mod index;
mod orders;
mod range;

use crate::world::book::Book;
use crate::world::{User, World};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, PgPool};
use std::collections::HashMap;
use tiris_testing::{Partition, Role, Scan, Statement, Statements, partitions};
use uuid::Uuid;

/// Rows of the histories. One in twenty belongs to the caller, so that an index pays off.
const ROWS: i32 = 100_000;
/// Months over which the rows are spread, few enough that an index pays off in each partition.
const MONTHS: i32 = 5;
/// Partitions that began within this time are small.
const BEGUN: chrono::Duration = chrono::Duration::days(7);
/// Months of a long history.
const MANY_MONTHS: i32 = 24;

/// An API that records its statements, over one connection, so that they are in order.
struct Recorded {
    world: World,
    statements: Statements,
}

impl Recorded {
    async fn start() -> Self {
        let world = World::start_with(|settings| {
            // Only a superuser may make the statements recordable.
            let url = settings.database.url.expose_secret();
            let url = url.replacen(Role::Api.name(), "tiris", 1);
            settings.database.url = Statements::recordable(&url).into();
            settings.database.max_connections = 1;
        })
        .await;
        Self {
            world,
            statements: Statements::record(),
        }
    }

    /// Returns the statements that `act` causes. The probe after it flushes the last one.
    async fn during(&self, act: impl AsyncFnOnce()) -> Vec<Statement> {
        let probe = async || drop(self.world.anonymous("/health/ready").await.data().clone());
        probe().await;
        drop(self.statements.take());
        act().await;
        probe().await;

        let mut all = self.statements.take();
        all.retain(|statement| !statement.text.contains("seaql_migrations"));
        all
    }
}

const INSERT_TRANSACTIONS: &str = "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, \
         reason, amount, closing_balance, sequence, trading_log_id, order_id, info) \
     SELECT gen_random_uuid(), at, OWNER, at, CASE n % 40 WHEN 0 THEN 'credit' ELSE 'debit' END, \
         'r' || n % 50, 1 + n % 1000, n, n, md5('log' || n)::uuid, 'o' || n / 3, jsonb_build_object('n', n % 1000) \
     FROM rows";
/// Two logs in three name their account; the others are trades, which only their transactions connect with it.
const INSERT_LOGS: &str = "INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, event_time, type, source, \
         order_id, drift, info) \
     SELECT md5('log' || n)::uuid, at, OWNER, at, 't' || n % 50, CASE n % 40 WHEN 0 THEN 'bot' ELSE 'manual' END, \
         'o' || n / 3, CASE n % 2000 WHEN 0 THEN ARRAY['overfilled'] WHEN 20 THEN ARRAY['balance'] END, jsonb_build_object('n', n % 1000) \
     FROM rows";

/// Fills both histories with rows of this book and of many others, one transaction for each log, spread from the start of
/// a month to now: a partition with the rows of a day would be read as a whole, rightly.
async fn fill(user: &User<'_>, book: &Book, months: i32) -> HashMap<String, Partition> {
    let rows = "WITH start AS (SELECT $7::timestamptz AS until, $7 - (date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' \
                   - $6 * interval '1 month') AS span), \
                 rows AS (SELECT n, n % 20 = 0 AS mine, until - span * n / $1 AS at, gen_random_uuid() AS other \
                   FROM start, generate_series(1, $1) AS n)";
    let owner = "CASE WHEN mine THEN $2 ELSE md5((n % 19)::text)::uuid END, CASE WHEN mine THEN $3 ELSE other END, \
                 CASE WHEN NAMELESS THEN NULL WHEN NOT mine THEN other WHEN n % 40 = 0 THEN $4 ELSE $5 END";
    let until = Utc::now();
    let pool = user.world.pool();
    user.world
        .run(
            "SELECT ensure_partitions(now() - $1 * interval '1 month', 3)",
            months,
        )
        .await;

    for (insert, nameless) in [(INSERT_TRANSACTIONS, "false"), (INSERT_LOGS, "n % 3 = 0")] {
        let owner = owner.replace("NAMELESS", nameless);
        let statement = format!("{rows} {}", insert.replace("OWNER", &owner));
        sqlx::query(AssertSqlSafe(statement))
            .bind(ROWS)
            .bind(user.id.0)
            .bind(id(&book.trading))
            .bind(id(&book.stock))
            .bind(id(&book.currency))
            .bind(months)
            .bind(until)
            .execute(pool)
            .await
            .expect("a history");
    }
    user.world
        .execute("SELECT keep_owner_statistics(); ANALYZE transactions, trading_logs")
        .await;
    partitions(pool).await.expect("partitions")
}

fn id(text: &str) -> Uuid {
    text.parse().expect("an id")
}

/// Returns the steps that read a whole partition of a time series, except for empty or small ones, such as those of the
/// current and coming months, where an index does not pay off.
fn whole_partitions(
    statements: &[Statement],
    parts: &HashMap<String, Partition>,
) -> Vec<(String, Scan)> {
    let begun = Utc::now() - BEGUN;
    let is_large = |table: &str| parts.get(table).is_some_and(|part| part.from < begun);
    let mut found = Vec::new();

    for statement in statements {
        for scan in statement.scans() {
            if scan.kind.contains("Seq") && scan.met_rows && is_large(&scan.table) {
                found.push((statement.text.clone(), scan));
            }
        }
    }

    found
}

fn cursor(at: DateTime<Utc>, id: Uuid) -> String {
    let micros = at.timestamp_micros().to_be_bytes();
    URL_SAFE_NO_PAD.encode([micros.as_slice(), id.as_bytes().as_slice()].concat())
}

/// Returns the start of the month `ago` months before this one.
async fn month(pool: &PgPool, ago: i32) -> DateTime<Utc> {
    let query = "SELECT date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - $1 * interval '1 month'";
    sqlx::query_scalar(query)
        .bind(ago)
        .fetch_one(pool)
        .await
        .expect("a month")
}

fn stamp(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns the partitions that were read.
fn parts_read<'p>(
    statements: &[Statement],
    parts: &'p HashMap<String, Partition>,
) -> Vec<&'p Partition> {
    let scans = statements.iter().flat_map(Statement::scans);
    let mut read: Vec<&Partition> = scans.filter_map(|scan| parts.get(&scan.table)).collect();
    read.sort_by_key(|part| (part.history.as_str(), part.from));
    read.dedup();
    read
}
