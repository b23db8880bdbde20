//! `tiris-migrate`: manages the database schema from the command line.

mod cli;

use anyhow::{Result, bail};
use clap::Parser;
use cli::{Cli, Command};
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::io::{IsTerminal, stderr};
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;
use tiris_migrations::HistoryKind;
use tracing_subscriber::EnvFilter;

/// The notices of PostgreSQL are the progress of long migrations.
const LOG_FILTER: &str =
    "warn,tiris_migrate=info,tiris_migrations=info,sqlx::postgres::notice=info";

#[tokio::main]
async fn main() -> ExitCode {
    // With two TLS providers in one process rustls has no default; an error means that one is installed already.
    let _already_installed = rustls::crypto::ring::default_provider()
        .install_default()
        .is_err();

    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false)
        .init();

    match run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", tiris_migrations::words(&error));
            if let Some(hint) = tiris_migrations::hint(&error) {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode> {
    let url = cli.database_url.as_str();
    check_address(url, &cli.environment)?;
    if let Command::Down {
        steps,
        all,
        yes: false,
    } = cli.command
    {
        let which = match all {
            true => "all migrations".to_owned(),
            false => format!("the newest {steps}"),
        };
        let database = tiris_migrations::describe(url)?;
        bail!("down reverts {which} of {database} and drops their data; add --yes to do it");
    }

    let limit = Duration::from_secs(cli.wait_seconds.into());
    let waiting = |why: &str| {
        let seconds = limit.as_secs();
        tracing::info!("waiting up to {seconds} s for the database: {why}");
    };
    tiris_migrations::wait_until_ready(url, limit, waiting).await?;

    match cli.command {
        Command::Up => report("applied", &tiris_migrations::up(url).await?),
        Command::Down { steps, all, .. } => {
            let steps = (!all).then_some(steps);
            report("reverted", &tiris_migrations::down(url, steps).await?);
        }
        Command::Status => show_status(url).await?,
        Command::Verify => return verify(url).await,
        Command::AfterRestore => after_restore(url).await?,
        Command::History { to } => history(url, to).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check_address(url: &str, environment: &str) -> Result<()> {
    if url.is_empty() {
        bail!(
            "no database address: set DATABASE_URL or --database-url, for example postgres://tiris@localhost:5432/tiris"
        );
    }
    if environment != "dev" && !is_safe(url)? {
        bail!(
            "DATABASE_URL must end with ?sslmode=verify-full outside development (or verify-ca; with a certificate authority \
             of your own also &sslrootcert=FILE), unless the database is on this machine"
        );
    }
    Ok(())
}

/// Returns whether the connection is local or verifies the server's certificate. The services have the same rule.
fn is_safe(url: &str) -> Result<bool> {
    let Ok(options) = url.parse::<PgConnectOptions>() else {
        bail!("DATABASE_URL must look like postgres://user:password@host:port/database");
    };

    let host = options.get_host().trim_matches(['[', ']']);
    let address: Option<IpAddr> = host.parse().ok();
    let is_local = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || address.is_some_and(|address| address.is_loopback());
    let mode = options.get_ssl_mode();

    Ok(is_local || matches!(mode, PgSslMode::VerifyCa | PgSslMode::VerifyFull))
}

fn report(what: &str, names: &[String]) {
    for name in names {
        println!("{what} {name}");
    }
    if names.is_empty() {
        println!("nothing to do");
    }
}

async fn show_status(url: &str) -> Result<()> {
    let states = tiris_migrations::status(url).await?;
    let widths = states.iter().map(|state| state.name.len());
    let width = widths.max().unwrap_or(0);

    println!("{:<width$}  applied at (UTC)", "migration");
    for state in &states {
        let newer = match state.known {
            true => "",
            false => "  (unknown to this program, applied by a newer one)",
        };
        let applied_at = state.applied_at.as_deref().unwrap_or("pending");
        println!("{:<width$}  {applied_at}{newer}", state.name);
    }
    Ok(())
}

async fn verify(url: &str) -> Result<ExitCode> {
    // Draws nothing when standard error is not a terminal.
    let progress = ProgressBar::new(0);
    let style = "{msg:<14} {bar:30} {human_pos}/{human_len} rows, {elapsed_precise}, {eta} left";
    progress.set_style(ProgressStyle::with_template(style)?);
    progress.enable_steady_tick(Duration::from_millis(200));

    let outcome = tiris_migrations::verify(url, &progress).await;
    progress.finish_and_clear();

    let report = outcome?;
    print!("{report}");
    Ok(match report.is_clean() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

async fn history(url: &str, to: Option<HistoryKind>) -> Result<()> {
    if let Some(kind) = to {
        let done = match tiris_migrations::convert_history(url, kind).await? {
            true => "converted the history",
            false => "nothing to do",
        };
        println!("{done}");
    }

    let (kind, refusal) = tiris_migrations::history(url).await?;
    println!("history      {kind}");
    println!("TimescaleDB  {}", refusal.unwrap_or("can be used".into()));
    Ok(())
}

async fn after_restore(url: &str) -> Result<()> {
    let restored = tiris_migrations::after_restore(url).await?;
    let partitions = restored.partitions_created.unsigned_abs().into();

    for (what, count) in [
        ("sessions revoked", restored.sessions_revoked),
        ("pending logins deleted", restored.logins_deleted),
        (
            "dead letters to publish again",
            restored.dead_letters_to_publish,
        ),
        ("lanes raised to a new epoch", restored.lanes_raised),
        ("partitions created", partitions),
    ] {
        println!("{what:<30} {count:>10}");
    }

    println!(
        "\nNow check:\n\
         1. tiris-migrate status: nothing is pending.\n\
         2. tiris-migrate verify: no violations.\n\
         3. Start tiris-ingest. It replays the stream from the end of the backup; its readiness names every lane\n   \
            whose events the stream no longer has.\n\
         4. When the lag is zero, review the open dead letters: they contain events that depend on REST calls after\n   \
            the backup (deposits, new accounts). Repeat those calls, then replay the dead letters.\n\
         5. Start tiris-api. All users must sign in again."
    );
    Ok(())
}
