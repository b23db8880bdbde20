//! The schema changes under running processes, and new processes join them: no request fails and no batch waits.

use super::requests::{Expect, Requests};
use super::rolling;
use crate::finish::end;
use crate::publishing::Publishing;
use crate::report::Outcome;
use crate::run::{Load, Options, Run};
use anyhow::{Result, ensure};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::time::Duration;
use tiris_testing::eventually;

const LOAD: Load = Load {
    name: "rollout",
    events: 6_000,
    duration: Duration::from_secs(20),
    has_unreadable: false,
};
/// Between two steps, so that every statement runs on the changed schema.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a change of the schema may wait for a lock, and how often it is tried again.
const LOCK_LIMIT: &str = "SET lock_timeout = '1s'";
const CHANGE_LIMIT: Duration = Duration::from_secs(30);
/// Log lines of a worker whose batch failed.
const FAILURES: [&str; 3] = ["lane waits", "batch failed", "event failed"];

/// The steps of a rollout: changes of the schema, each for every process that runs, and new processes.
enum Step {
    /// A nullable column on every table.
    AddColumns,
    RemoveColumns,
    /// Another type of columns that every request and batch reads.
    NarrowTypes,
    WidenTypes,
    /// A new worker and a new API.
    NewProcesses,
}

const STEPS: [Step; 6] = [
    Step::AddColumns,
    Step::NewProcesses,
    Step::NarrowTypes,
    Step::WidenTypes,
    Step::NewProcesses,
    Step::RemoveColumns,
];

const TABLES: &str = "SELECT oid::regclass::text FROM pg_class \
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition";
const COLUMN: &str = "column_of_a_newer_program";
/// Columns that every request or batch reads, as `table column`.
const TYPED: [(&str, &str); 3] = [
    ("sub_accounts", "symbol"),
    ("tradings", "name"),
    ("users", "full_name"),
];

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let (run, publishing) = Publishing::begin(LOAD, options, None).await?;
    let requests = Requests::begin(&run, Expect::Success).await?;
    let rolled = roll_out(&run).await;
    let accounts = requests.end(&run).await?;
    end(run, publishing, rolled.map(|()| accounts)).await
}

async fn roll_out(run: &Run) -> Result<()> {
    tokio::time::sleep(PAUSE).await;
    for (number, step) in STEPS.iter().enumerate() {
        run.options.check_stop()?;
        step.take(run, number).await?;
        tokio::time::sleep(PAUSE).await;
        run.progress();
    }

    for worker in &run.system.workers {
        let log = run
            .system
            .folder()
            .join(format!("ingest-{}.log", worker.slot));
        let log = tokio::fs::read_to_string(log).await?;
        let failed = log
            .lines()
            .find(|line| FAILURES.iter().any(|text| line.contains(text)));
        ensure!(
            failed.is_none(),
            "worker {}: {}",
            worker.slot,
            failed.unwrap_or_default()
        );
    }
    Ok(())
}

impl Step {
    async fn take(&self, run: &Run, number: usize) -> Result<()> {
        let alter_typed = |to: &str| {
            let alter = TYPED.iter().map(|(table, column)| {
                format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {to}")
            });
            alter.collect::<Vec<_>>()
        };
        match self {
            Self::AddColumns => {
                run.phase("columns added");
                let add = format!("ADD COLUMN {COLUMN} text");
                change(run, &on_every_table(run, &add).await?).await
            }
            Self::RemoveColumns => {
                run.phase("columns removed");
                let remove = format!("DROP COLUMN {COLUMN}");
                change(run, &on_every_table(run, &remove).await?).await
            }
            Self::NarrowTypes => {
                run.phase("types changed");
                change(run, &alter_typed("varchar(500)")).await
            }
            Self::WidenTypes => {
                run.phase("types changed back");
                change(run, &alter_typed("text")).await
            }
            Self::NewProcesses => {
                run.phase("new processes");
                let workers = &run.system.workers;
                rolling::restart(run, &workers[number % workers.len()]).await?;
                run.system.api.lock().await.replace().await?;
                run.faults.count("API replaced (SIGTERM)");
                Ok(())
            }
        }
    }
}

async fn on_every_table(run: &Run, change: &str) -> Result<Vec<String>> {
    let tables: Vec<String> = sqlx::query_scalar(TABLES)
        .fetch_all(&run.system.pool)
        .await?;
    let alter = |table: &String| format!("ALTER TABLE {table} {change}");
    Ok(tables.iter().map(alter).collect())
}

/// Runs each statement by itself, again when it waited too long for its lock, as `tiris-migrate` is repeated.
async fn change(run: &Run, statements: &[String]) -> Result<()> {
    let mut connection = PgConnection::connect(&run.system.database_url).await?;
    connection.execute(LOCK_LIMIT).await?;
    for statement in statements {
        eventually(statement, CHANGE_LIMIT, async || {
            let done = connection.execute(AssertSqlSafe(statement.clone())).await;
            done.map(drop)
        })
        .await?;
        run.faults.count("schema changed");
    }
    Ok(())
}
