//! `tiris-fuzz`: asks a running API whatever its OpenAPI document allows and does not allow, and judges every answer.
//!
//! Owns: the command line, the order of the runs, what counts as passed. Must not know: how requests are made.

mod answers;
mod api;
mod run;
mod seed;

use answers::Answers;
use anyhow::{Context, Result, ensure};
use api::Api;
use clap::Parser;
use run::Run;
use std::process::ExitCode;
use std::time::Duration;
use tiris_testing::{TestDatabase, find_schemathesis, scratch_dir};

/// Operations after which the caller is signed out, or whose answer has no end: each has a run and a user of its own.
const ALONE: [&str; 3] = ["deleteMe", "logout", "follow"];
/// Time of each of these runs.
const ALONE_LIMIT: Duration = Duration::from_secs(15);
/// What cannot succeed here: it needs a person at a provider, or what only such a person is given.
const NEEDS_A_PROVIDER: [&str; 2] = ["POST /v1/auth/callback", "POST /v1/auth/refresh"];

/// Fuzzes the REST API from its OpenAPI document
///
/// Starts a private PostgreSQL and a `tiris-api` of this build, signs in an admin who owns something of everything, and
/// lets Schemathesis ask. Passed means: no 5xx, every answer as the document tells it, nothing accepted that the document
/// forbids, no operation without a token, and every operation succeeded at least once.
#[derive(Parser)]
#[command(name = "tiris-fuzz", version)]
struct Cli {
    /// Seconds of the main run
    #[arg(long, env = "FUZZ_SECONDS", value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(30..=86_400))]
    seconds: u64,
    /// Seed of everything random [default: a fresh one, which is printed]
    #[arg(long, env = "FUZZ_SEED", value_name = "NUMBER")]
    seed: Option<u32>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match fuzz(&Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tiris-fuzz: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn fuzz(cli: &Cli) -> Result<()> {
    tiris_runtime::tls::choose_provider();
    let program = find_schemathesis()?;
    let folder = scratch_dir("fuzz")?;
    let database = TestDatabase::new().await?;
    let api = Api::start(database.url(), folder.path()).await?;
    let admin = api.token("admin@fuzz.example", true).await?;
    seed::seed(&api, &admin, database.pool(), folder.path())
        .await
        .context("cannot make what is asked for")?;
    let seed = cli.seed.unwrap_or_else(rand::random);
    let run = |name: &str, token: &str, limit: Duration| {
        Run::new(&program, folder.path(), name, &api.url, token, limit, seed)
    };
    let mut answers = Answers::default();
    let main = run("all", &admin, Duration::from_secs(cli.seconds))?.without(&ALONE);
    let mut passed = main.execute(&mut answers).await?;
    for operation in ALONE {
        let token = api
            .token(&format!("{operation}@fuzz.example"), false)
            .await?;
        passed &= run(operation, &token, ALONE_LIMIT)?
            .only(operation)
            .execute(&mut answers)
            .await?;
    }
    ensure!(
        passed,
        "Schemathesis found failures, see above; repeat it with FUZZ_SEED={seed}"
    );
    let never = answers.without_success(&api.operations().await?, &NEEDS_A_PROVIDER);
    ensure!(
        never.is_empty(),
        "never answered with success: {}; FUZZ_SEED={seed}",
        never.join(", ")
    );
    println!(
        "{} answers, all as the document tells them; FUZZ_SEED={seed}",
        answers.count()
    );
    Ok(())
}
