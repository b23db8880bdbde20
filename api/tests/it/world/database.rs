//! Direct access to the database of a test.

use super::World;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Postgres, Transaction};
use std::time::Duration;
use tiris_domain::ids::new_id;
use tiris_testing::{Role, eventually};
use uuid::Uuid;

/// Like [`World::begin_before_this_month`], for any database.
pub(crate) async fn begin_before_this_month(pool: &PgPool) {
    sqlx::raw_sql("SELECT ensure_partitions(now() - interval '1 month', 0)")
        .execute(pool)
        .await
        .expect("partitions");
}

impl World {
    /// The connections of the test, as a superuser.
    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Connections with the rights of the API.
    pub(crate) fn service(&self) -> PgPool {
        self.database.pool_as(Role::Api).expect("a pool")
    }

    /// Runs statements without parameters.
    pub(crate) async fn execute(&self, statements: &'static str) {
        sqlx::raw_sql(statements)
            .execute(self.pool())
            .await
            .expect(statements);
    }

    /// Makes room in the histories for rows of the last days, which a new database has not: it begins with this month.
    pub(crate) async fn begin_before_this_month(&self) {
        begin_before_this_month(self.pool()).await;
    }

    /// Runs a statement with one parameter.
    pub(crate) async fn run<'q, T>(&self, statement: &'static str, parameter: T)
    where
        T: 'q + sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres>,
    {
        sqlx::query(statement)
            .bind(parameter)
            .execute(self.pool())
            .await
            .expect(statement);
    }

    /// Returns the only value of a query without parameters.
    pub(crate) async fn scalar<T>(&self, query: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(query)
            .fetch_one(self.pool())
            .await
            .expect(query)
    }

    /// Returns the rows of a query without parameters.
    pub(crate) async fn rows<T>(&self, query: &'static str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        sqlx::query_as(query)
            .fetch_all(self.pool())
            .await
            .expect(query)
    }

    /// Returns the count of a query whose only parameter is an id.
    pub(crate) async fn count(&self, query: &'static str, id: &str) -> i64 {
        let id: Uuid = id.parse().expect("an id");
        sqlx::query_scalar(query)
            .bind(id)
            .fetch_one(self.pool())
            .await
            .expect(query)
    }

    /// Asserts that the books are consistent.
    pub(crate) async fn verify(&self) {
        let progress = indicatif::ProgressBar::hidden();
        let url = self.database.url_as(Role::Read).expect("an address");
        let report = tiris_migrations::verify(&url, &progress).await;

        let report = report.expect("a report");
        assert!(report.is_clean(), "{report:?}");
    }

    /// Locks rows that a query with one id selects, until the transaction ends.
    pub(crate) async fn lock(
        &self,
        query: &'static str,
        id: Uuid,
    ) -> Transaction<'static, Postgres> {
        let mut transaction = self.pool().begin().await.expect("a transaction");
        sqlx::query(query)
            .bind(id)
            .execute(&mut *transaction)
            .await
            .expect(query);
        transaction
    }

    pub(crate) async fn lock_account(&self, account: &str) -> Transaction<'static, Postgres> {
        let id = account.parse().expect("an id");
        self.lock("SELECT FROM sub_accounts WHERE id = $1 FOR UPDATE", id)
            .await
    }

    /// Waits until a session of the database waits for a lock.
    pub(crate) async fn lock_is_waited_for(&self) {
        self.locks_are_waited_for(1).await;
    }

    /// Waits until this many sessions of the database wait for locks.
    pub(crate) async fn locks_are_waited_for(&self, sessions: i64) {
        let limit = Duration::from_secs(10);
        let look = async || {
            let waiting: i64 = self
                .scalar(
                    "SELECT count(*) FROM pg_stat_activity \
                     WHERE datname = current_database() AND wait_event_type = 'Lock'",
                )
                .await;
            anyhow::ensure!(waiting >= sessions, "{waiting} sessions wait");
            anyhow::Ok(())
        };

        eventually("sessions that wait for locks", limit, look)
            .await
            .expect("locks that are waited for");
    }

    /// Returns the audited actions on a resource, oldest first.
    pub(crate) async fn audited(&self, id: &str) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT action FROM audit_logs WHERE resource_id = $1 ORDER BY timestamp, id",
        )
        .bind(id)
        .fetch_all(self.pool())
        .await
        .expect("the audit trail")
    }

    /// Locks a part of an account for an order, as a bot's event does.
    pub(crate) async fn hold(&self, account: &str, order: &str, amount: &str) {
        let id: Uuid = account.parse().expect("an id");
        sqlx::query(
            "WITH hold AS (INSERT INTO holds (sub_account_id, trading_id, order_id, amount, event_id) \
                           SELECT id, trading_id, $2, $3::numeric, 'e1' FROM sub_accounts WHERE id = $1), \
                  named AS (INSERT INTO orders (id, user_id, trading_id, order_id, ordinal, status, first_event_time, \
                                last_event_time, created_at, updated_at) \
                            SELECT $4, s.user_id, s.trading_id, $2, 0, 'unknown', now(), now(), now(), now() \
                            FROM sub_accounts s WHERE s.id = $1 AND $2 <> '' AND NOT EXISTS (SELECT FROM orders o \
                                WHERE o.trading_id = s.trading_id AND o.order_id = $2)) \
             UPDATE sub_accounts SET locked = locked + $3::numeric WHERE id = $1",
        )
        .bind(id)
        .bind(order)
        .bind(amount)
        .bind(new_id())
        .execute(self.pool())
        .await
        .expect("a hold");
    }
}
