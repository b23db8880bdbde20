//! The command line of `tiris-migrate`; its `--help` is the manual.

use clap::{Parser, Subcommand};
use tiris_migrations::HistoryKind;

/// Applies, reverts and checks the database schema of Tiris Backend.
#[derive(Parser)]
#[command(
    name = "tiris-migrate",
    version,
    arg_required_else_help = true,
    after_help = "\
Exit code: 0 success, 1 failure or violations found, 2 wrong usage.
Results go to standard output, progress and messages to standard error (level: RUST_LOG)."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Direct address of the database, postgres://user:password@host:5432/tiris (no connection pooler in between).
    /// Prefer the environment variable: other users of the machine can see command lines.
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        global = true,
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) database_url: String,
    /// Deployment environment: dev, staging or production. Outside dev the certificate of a database on another machine must
    /// be verified (sslmode=verify-full or verify-ca).
    #[arg(long, env = "TIRIS_ENV", value_name = "ENV", global = true, default_value = "dev", value_parser = ["dev", "staging", "production"])]
    pub(crate) environment: String,
    /// Seconds to wait for a database that is starting or unreachable; 0 tries once.
    #[arg(long, env = "TIRIS_MIGRATE_WAIT_SECONDS", value_name = "SECONDS", global = true, default_value_t = 60, value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub(crate) wait_seconds: u32,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Creates the missing roles of the services, applies all pending migrations, and makes the grants of the roles.
    ///
    /// A user who may not create roles gets the statements for an administrator, and nothing is changed.
    ///
    /// Safe to run repeatedly and concurrently: one run works under an advisory lock, the others wait for it. Each
    /// migration is one transaction, so an interrupted run continues where it stopped.
    Up,
    /// Reverts the newest migration and drops the data of its tables.
    Down {
        /// Number of migrations to revert, newest first.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        /// Revert all migrations, which leaves an empty database.
        #[arg(long, conflicts_with = "steps")]
        all: bool,
        /// Confirm that the data is dropped.
        #[arg(long)]
        yes: bool,
    },
    /// Shows which migrations are applied and which are pending; changes nothing.
    Status,
    /// Recomputes the books of the whole database and names every row that is wrong; changes nothing.
    ///
    /// Checks one snapshot while services run: every closing balance follows from the one before, sequences have no
    /// gap, every trade has all its legs, no row refers to another user's row, and locked amounts are the sum of the
    /// holds. Exits with 1 if a check fails. Needs disk space for sorting on the server.
    Verify,
    /// Prepares a database restored from a backup, before services start on it.
    ///
    /// Signs out all users, deletes pending logins, marks open dead letters for publishing, and raises the epoch of
    /// every lane so that no worker from before the restore can write.
    AfterRestore,
    /// Shows the storage of the history, native partitions or TimescaleDB hypertables, or converts it.
    ///
    /// A conversion copies all transactions and logs in one transaction and blocks services meanwhile: stop them first.
    /// Use it when the server gains TimescaleDB after the database was created, or before a move to a server without it.
    History {
        /// The storage to convert to; without it nothing is changed.
        #[arg(long, value_name = "FORM")]
        to: Option<HistoryKind>,
    },
}
