//! `tiris-dev`: the development stack behind `make run`, `up`, `down`, `clean-data`, `status` and `tools`.

/// Prints a line; a closed pipe is no reason to stop.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write;
        writeln!(std::io::stdout(), $($words)*).ok();
    }};
}

mod accounts;
mod background;
mod database;
mod environment;
mod folder;
mod foreground;
mod install;
mod live;
mod lock;
mod ports;
mod processes;
mod provider;
mod redirect_page;
mod signals;
mod stack;

use clap::{Args, Parser, Subcommand};
use std::process::ExitCode;
use tiris_testing::has_timescale;
use tiris_tools::exit_code;

/// The private development stack of Tiris Backend: PostgreSQL, NATS, both services and a demo bot
///
/// All files are in the folder `.tiris` of the workspace; TIRIS_DEV_DIR moves it. Servers listen on 127.0.0.1 only, and
/// services of the system are not touched. TIRIS_PG_BIN (a folder with `postgres` and `initdb`) and TIRIS_NATS_SERVER (a
/// program) choose the servers by hand. PostgreSQL uses TimescaleDB where it is installed, unless TIRIS_TIMESCALE is
/// `off`.
#[derive(Parser)]
#[command(name = "tiris-dev", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything with a demo bot and show the balances, until Ctrl-C
    Run(Login),
    /// Start everything but the bot in the background, wait until it is ready, write `env` into the folder
    Up(Login),
    /// Stop the running stack, in the foreground or in the background; the data stays
    Down,
    /// Stop the running stack and delete all data
    CleanData,
    /// Show what runs, and where
    Status,
    /// Install PostgreSQL and nats-server when this machine has no suitable ones
    Tools(Tools),
    /// Print whether the private PostgreSQL uses TimescaleDB: `yes` or `no`
    HasTimescale,
    /// The background process of `up`
    #[command(hide = true)]
    Supervise(Login),
}

#[derive(Args)]
struct Login {
    /// Also a local OpenID provider, at which users sign in by hand as if it were Google
    #[arg(long)]
    login: bool,
}

#[derive(Args)]
#[group(multiple = false)]
struct Tools {
    /// Also the OpenID provider of `--login`
    #[arg(long)]
    login: bool,
    /// Also the tools of single tests; those that cannot be installed are reported, and their tests are skipped
    #[arg(long)]
    tests: bool,
    /// Also Schemathesis, for `make fuzz`
    #[arg(long)]
    fuzz: bool,
    /// Also wrk, for `make bench`
    #[arg(long)]
    bench: bool,
    /// Only the tools that check the OpenAPI document and generate clients
    #[arg(long)]
    document: bool,
    /// Only the tools that check images, compose, dashboards and alerts
    #[arg(long)]
    docker: bool,
}

impl Tools {
    fn install(&self) -> anyhow::Result<()> {
        if self.document {
            return install::document_tools();
        }
        if self.docker {
            return install::docker_tools();
        }

        install::servers(self.login)?;
        if self.fuzz {
            install::schemathesis()?;
        }
        if self.bench {
            install::wrk()?;
        }
        if self.tests
            && let Err(error) = install::openid_provider()
        {
            say!("WARNING: {error:#}\nThe tests that sign in there will be skipped.");
        }
        if self.tests
            && let Err(error) = install::pgbouncer()
        {
            say!("WARNING: {error:#}\nThe tests of PgBouncer will be skipped.");
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(Login { login }) => foreground::run(login).await,
        Command::Up(Login { login }) => background::up(login).await,
        Command::Down => background::down().await,
        Command::CleanData => background::clean_data().await,
        Command::Status => background::status(),
        Command::Tools(tools) => tools.install(),
        Command::HasTimescale => {
            has_timescale().map(|has_it| say!("{}", if has_it { "yes" } else { "no" }))
        }
        Command::Supervise(Login { login }) => background::supervise(login).await,
    };

    exit_code("tiris-dev", outcome.map(|()| true))
}
