//! `tiris-fuzz`: asks a running API whatever its OpenAPI document allows and does not allow, and judges every answer.
//!
//! Owns: the command line, the order of the runs, what counts as passed. Must not know: how requests are made.

mod answers;
mod api;
mod run;
mod seed;

use answers::Answers;
use anyhow::{Context, Result, ensure};
use clap::Parser;
use run::Schemathesis;
use std::process::ExitCode;
use std::time::Duration;
use tiris_testing::{TestDatabase, find_schemathesis, scratch_dir};
use tiris_tools::{ApiServer, exit_code};

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
    let outcome = fuzz(&Cli::parse()).await;
    exit_code("tiris-fuzz", outcome.map(|()| true))
}

async fn fuzz(cli: &Cli) -> Result<()> {
    let folder = scratch_dir("fuzz")?;
    let database = TestDatabase::new().await?;
    let api = api::start(database.url(), folder.path()).await?;
    let admin = api.admin_token("admin@fuzz.example").await?;
    seed::seed(&api, &admin, database.pool(), folder.path())
        .await
        .context("cannot make what is asked for")?;

    let schemathesis = Schemathesis {
        program: find_schemathesis()?,
        folder: folder.path().to_owned(),
        url: api.url(),
        seed: cli.seed.unwrap_or_else(rand::random),
    };
    let answers = ask(cli, &api, &admin, &schemathesis).await?;

    let seed = schemathesis.seed;
    let never = answers.without_success(&api::operations(&api.url()).await?, &NEEDS_A_PROVIDER);
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

/// Asks all operations as the admin, and those of [`ALONE`] one by one.
async fn ask(
    cli: &Cli,
    api: &ApiServer,
    admin: &str,
    schemathesis: &Schemathesis,
) -> Result<Answers> {
    let mut answers = Answers::default();
    let main = schemathesis.run("all", admin, Duration::from_secs(cli.seconds))?;
    let mut passed = main.without(&ALONE).execute(&mut answers).await?;
    for operation in ALONE {
        let token = api.token(&format!("{operation}@fuzz.example")).await?;
        let run = schemathesis.run(operation, &token, ALONE_LIMIT)?;
        passed &= run.only(operation).execute(&mut answers).await?;
    }

    ensure!(
        passed,
        "Schemathesis found failures, see above; repeat it with FUZZ_SEED={}",
        schemathesis.seed
    );
    Ok(answers)
}
