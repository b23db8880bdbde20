//! `tiris-dev`: the development stack behind `make run`, `up`, `down`, `clean-data`, `status` and `tools`.
//!
//! Owns: the command line. Must not know: how a part of the stack is started.

mod background;
mod environment;
mod folder;
mod foreground;
mod install;
mod live;
mod lock;
mod people;
mod ports;
mod provider;
mod redirect_page;
mod say;
mod schema;
mod services;
mod sign_in;
mod signals;
mod stack;

use clap::{Args, Parser, Subcommand};
use install::Extra;
use say::say;
use sign_in::SignIn;
use std::process::ExitCode;
use tiris_testing::has_timescale;
use tiris_tools::exit_code;

/// The private development stack of Tiris Backend: PostgreSQL, NATS, both binaries and a demo bot
///
/// Everything lies in the folder `.tiris` of the workspace; TIRIS_DEV_DIR moves it. Servers listen on 127.0.0.1
/// only, and no service of the system is touched. TIRIS_PG_BIN (a folder with `postgres` and `initdb`) and
/// TIRIS_NATS_SERVER (a program) choose the servers by hand. PostgreSQL gets TimescaleDB where its files are beside it,
/// unless TIRIS_TIMESCALE is `off`.
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
    /// Stop what runs, in the foreground or in the background; the data stays
    Down,
    /// Stop what runs and forget all data
    CleanData,
    /// Say what runs, and where
    Status,
    /// Install PostgreSQL and nats-server when this machine has none that will do
    Tools {
        /// Also the OpenID provider of `--login`
        #[arg(long)]
        login: bool,
        /// Also what single tests need; what cannot be installed is told, and they will be skipped
        #[arg(long, conflicts_with = "login")]
        tests: bool,
        /// Also Schemathesis, for `make fuzz`
        #[arg(long, conflicts_with_all = ["login", "tests"])]
        fuzz: bool,
        /// Also wrk, for `make bench`
        #[arg(long, conflicts_with_all = ["login", "tests", "fuzz"])]
        bench: bool,
        /// Nothing but what the OpenAPI document is checked with and clients are made by
        #[arg(long, conflicts_with_all = ["login", "tests", "fuzz", "bench"])]
        document: bool,
        /// Nothing but what images, compose, dashboards and alerts are checked with
        #[arg(long, conflicts_with_all = ["login", "tests", "fuzz", "document"])]
        docker: bool,
    },
    /// Say whether the private PostgreSQL gets TimescaleDB: `yes` or `no`
    HasTimescale,
    /// What `up` starts in the background
    #[command(hide = true)]
    Supervise(Login),
}

#[derive(Args)]
struct Login {
    /// Also a local OpenID provider, at which people sign in by hand as if it were Google
    #[arg(long)]
    login: bool,
}

impl From<Login> for SignIn {
    fn from(login: Login) -> Self {
        if login.login { Self::On } else { Self::Off }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(login) => foreground::run(login.into()).await,
        Command::Up(login) => background::up(login.into()).await,
        Command::Down => background::down().await,
        Command::CleanData => background::clean_data().await,
        Command::Status => background::status(),
        Command::Tools { login: true, .. } => install::run(Extra::Provider),
        Command::Tools { tests: true, .. } => install::run(Extra::ProviderIfPossible),
        Command::Tools { fuzz: true, .. } => install::run(Extra::Fuzzer),
        Command::Tools { bench: true, .. } => install::run(Extra::Bench),
        Command::Tools { document: true, .. } => install::document_tools(),
        Command::Tools { docker: true, .. } => install::docker_tools(),
        Command::Tools { .. } => install::run(Extra::Nothing),
        Command::HasTimescale => {
            has_timescale().map(|has_it| say!("{}", if has_it { "yes" } else { "no" }))
        }
        Command::Supervise(login) => background::supervise(login.into()).await,
    };

    exit_code("tiris-dev", outcome.map(|()| true))
}
