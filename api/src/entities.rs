//! The database connections of SeaORM entities, whose statements are each timed once.

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, QueryStream,
    SqlxPostgresConnector, Statement, StreamTrait,
};
use sqlx::PgPool;
use std::pin::Pin;
use tiris_runtime::telemetry::{record_statement, timed_by_caller};

/// The connections; cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Entities(DatabaseConnection);

impl Entities {
    pub(crate) fn new(pool: PgPool) -> Self {
        let mut connections = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
        connections.set_metric_callback(|info| record_statement(&info.statement.sql, info.elapsed));
        Self(connections)
    }
}

#[async_trait]
impl ConnectionTrait for Entities {
    fn get_database_backend(&self) -> DbBackend {
        ConnectionTrait::get_database_backend(&self.0)
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        timed_by_caller(self.0.execute_raw(statement)).await
    }

    /// Timed by the driver, because SeaORM reports no statement here.
    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.0.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        timed_by_caller(self.0.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        timed_by_caller(self.0.query_all_raw(statement)).await
    }
}

/// The rows are read within the caller's `timed_by_caller`.
impl StreamTrait for Entities {
    type Stream<'a> = QueryStream;

    fn get_database_backend(&self) -> DbBackend {
        StreamTrait::get_database_backend(&self.0)
    }

    fn stream_raw<'a>(
        &'a self,
        statement: Statement,
    ) -> Pin<Box<dyn Future<Output = Result<QueryStream, DbErr>> + 'a + Send>> {
        self.0.stream_raw(statement)
    }
}
