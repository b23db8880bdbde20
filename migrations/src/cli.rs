//! The command line of `tiris-migrate`; its `--help` is the manual.
//!
//! Owns: names, defaults and words of every option. Must not know: how a command is done.

use clap::{Args, Parser, Subcommand};
use tiris_migrations::HistoryKind;

/// Applies, reverts and checks the database schema of Tiris Backend.
#[derive(Parser)]
#[command(
    name = "tiris-migrate",
    version,
    arg_required_else_help = true,
    after_help = "\
Exit code: 0 done and well, 1 failed or violations found, 2 wrong usage.
Results go to standard output, progress and messages to standard error (level: RUST_LOG)."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) database: Database,
}

/// Which database, and how long to wait for it.
#[derive(Args)]
pub(crate) struct Database {
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
    /// Where the program runs: dev or production. In production a database on another machine must be verified
    /// (sslmode=verify-full or verify-ca).
    #[arg(long, env = "TIRIS_ENV", value_name = "ENV", global = true, default_value = "dev", value_parser = ["dev", "production"])]
    pub(crate) environment: String,
    /// Seconds to wait for a database that is starting or unreachable; 0 tries once.
    #[arg(long, env = "TIRIS_MIGRATE_WAIT_SECONDS", value_name = "SECONDS", global = true, default_value_t = 60, value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub(crate) wait_seconds: u32,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Applies all pending migrations; does nothing when there are none.
    ///
    /// Safe to run several times and in several places at once: one works under an advisory lock, the others wait.
    /// Each migration is one transaction, so an interrupted run is taken up again where it stopped.
    Up,
    /// Reverts the newest migration. Drops the data of the tables it made.
    Down(Down),
    /// Shows which migrations are applied and which are pending; changes nothing.
    Status,
    /// Recomputes the books over the whole database and names every row that is wrong; changes nothing.
    ///
    /// Checked, in one snapshot, while services may go on working: every closing balance follows from the one before
    /// and sequences have no gap; every trade has all its legs; no row refers to another user's; locked amounts are
    /// the sum of the holds. Exits with 1 when anything is wrong. Needs disk space for sorting on the server.
    Verify,
    /// Prepares a database restored from a backup, before services are started on it.
    ///
    /// Signs everybody out, forgets logins under way, marks open dead letters for publishing, and raises the epoch of
    /// every lane so that no worker from before the restore can write.
    AfterRestore,
    /// Shows whether the history is native partitions or hypertables of TimescaleDB, or moves it to the other form.
    ///
    /// A move copies all transactions and logs in one transaction and keeps services waiting meanwhile: stop them first.
    /// Use it when the server got TimescaleDB after the database was made, or before a move to a server without it.
    History(History),
}

/// What form the history gets.
#[derive(Args)]
pub(crate) struct History {
    /// The form to move it to; without it nothing is changed
    #[arg(long, value_name = "FORM")]
    pub(crate) to: Option<HistoryKind>,
}

/// How far down.
#[derive(Args)]
pub(crate) struct Down {
    /// How many migrations to revert, newest first.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) steps: u32,
    /// Revert all of them: an empty database.
    #[arg(long, conflicts_with = "steps")]
    pub(crate) all: bool,
    /// Yes, drop that data.
    #[arg(long)]
    pub(crate) yes: bool,
}
