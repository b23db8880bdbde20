//! `tiris-migrate`: the schema of the database from the command line.
//!
//! Owns: turning commands into calls and results into words. Must not know: SQL.

mod cli;

use anyhow::{Result, bail};
use clap::Parser;
use cli::{Cli, Command, Down, History};
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::io::{IsTerminal, stderr};
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    // Two TLS providers in one process would leave rustls without a default; err means one is installed already.
    let _already_installed = rustls::crypto::ring::default_provider()
        .install_default()
        .is_err();

    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,tiris_migrate=info,tiris_migrations=info"));
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

async fn run(Cli { command, database }: Cli) -> Result<ExitCode> {
    let url = database.database_url.as_str();
    check_address(url, &database.environment)?;
    if let Command::Down(down) = &command {
        check_confirmed(down, url)?;
    }

    let limit = Duration::from_secs(database.wait_seconds.into());
    let waiting = |why: &str| {
        let seconds = limit.as_secs();
        tracing::info!("waiting up to {seconds} s for the database: {why}");
    };
    tiris_migrations::wait_until_ready(url, limit, waiting).await?;

    match command {
        Command::Up => tell("applied", &tiris_migrations::up(url).await?),
        Command::Down(down) => {
            let steps = (!down.all).then_some(down.steps);
            tell("reverted", &tiris_migrations::down(url, steps).await?);
        }
        Command::Status => show_status(url).await?,
        Command::Verify => return verify(url).await,
        Command::AfterRestore => after_restore(url).await?,
        Command::History(wanted) => history(url, wanted).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check_address(url: &str, environment: &str) -> Result<()> {
    if url.is_empty() {
        bail!(
            "no database given: set DATABASE_URL or --database-url, for example postgres://tiris@localhost:5432/tiris"
        );
    }
    if environment == "production" && !is_safe(url)? {
        bail!(
            "DATABASE_URL must end with ?sslmode=verify-full in production (or verify-ca; with a certificate authority \
             of your own also &sslrootcert=FILE), unless the database is on this machine"
        );
    }
    Ok(())
}

fn check_confirmed(down: &Down, url: &str) -> Result<()> {
    if down.yes {
        return Ok(());
    }

    let which = if down.all {
        "all migrations".to_owned()
    } else {
        format!("the newest {}", down.steps)
    };
    bail!(
        "down reverts {which} of {} and drops their data; add --yes to do it",
        tiris_migrations::describe(url)?
    );
}

/// Whether nobody between us and the database can read or change what we say. The services hold to the same.
fn is_safe(url: &str) -> Result<bool> {
    let Ok(options) = url.parse::<PgConnectOptions>() else {
        bail!("DATABASE_URL must look like postgres://user:password@host:port/database");
    };

    let host = options.get_host().trim_matches(['[', ']']);
    let is_loopback = host
        .parse()
        .is_ok_and(|address: IpAddr| address.is_loopback());
    let is_local = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || is_loopback;
    let mode = options.get_ssl_mode();

    Ok(is_local || matches!(mode, PgSslMode::VerifyCa | PgSslMode::VerifyFull))
}

fn tell(what: &str, names: &[String]) {
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
        let newer = if state.known {
            ""
        } else {
            "  (unknown to this program, made by a newer one)"
        };
        let applied_at = state.applied_at.as_deref().unwrap_or("pending");
        println!("{:<width$}  {applied_at}{newer}", state.name);
    }
    Ok(())
}

async fn verify(url: &str) -> Result<ExitCode> {
    // Draws nothing when standard error is no terminal.
    let progress = ProgressBar::new(0);
    let style = "{msg:<14} {bar:30} {human_pos}/{human_len} rows, {elapsed_precise}, {eta} left";
    progress.set_style(ProgressStyle::with_template(style)?);
    progress.enable_steady_tick(Duration::from_millis(200));

    let outcome = tiris_migrations::verify(url, &progress).await;
    progress.finish_and_clear();

    let report = outcome?;
    print!("{report}");
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn history(url: &str, History { to }: History) -> Result<()> {
    if let Some(form) = to {
        let was_another = tiris_migrations::convert_history(url, form).await?;
        let done = if was_another {
            "moved the history"
        } else {
            "nothing to do"
        };
        println!("{done}");
    }

    let (kind, refusal) = tiris_migrations::history(url).await?;
    println!("history      {kind}");
    println!(
        "TimescaleDB  {}",
        refusal.as_deref().unwrap_or("can be used")
    );
    Ok(())
}

async fn after_restore(url: &str) -> Result<()> {
    let restored = tiris_migrations::after_restore(url).await?;

    for (what, count) in [
        ("sessions revoked", restored.sessions_revoked),
        ("logins under way forgotten", restored.login_states_removed),
        ("open letters to publish again", restored.letters_to_publish),
        ("lanes raised to a new epoch", restored.lanes_raised),
        (
            "partitions made",
            restored.partitions_made.unsigned_abs().into(),
        ),
    ] {
        println!("{what:<30} {count:>10}");
    }

    println!(
        "\nNow check:\n\
         1. tiris-migrate status: nothing is pending.\n\
         2. tiris-migrate verify: no violations.\n\
         3. Start tiris-ingest. It reads the stream again from where the backup ends; its readiness names every\n   \
            lane whose events the stream no longer has.\n\
         4. When the lag is zero, look through the open dead letters: events that depended on what REST calls did\n   \
            after the backup (deposits, new accounts) wait there. Repeat those calls, then replay the letters.\n\
         5. Start tiris-api. Everybody signs in again."
    );
    Ok(())
}
