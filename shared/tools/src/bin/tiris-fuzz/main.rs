//! `tiris-fuzz`: sends a running API requests that its OpenAPI document allows and forbids, and checks every response.

mod api;
mod schemathesis;
mod seed;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use schemathesis::{Responses, Schemathesis};
use std::process::ExitCode;
use std::time::Duration;
use tiris_testing::{TestDatabase, find_schemathesis, scratch_dir};
use tiris_tools::exit_code;

/// Operations that need open dead letters, which the bulk operations close: they have a run of their own before all others. One worker,
/// because CPython 3.11 can fail when two threads parse at once, as both operations do first.
const FIRST: [&str; 2] = ["replayDeadLetter", "discardDeadLetter"];
/// Operations that sign the caller out or whose response has no end: each has a run and a user of its own.
const ALONE: [&str; 4] = ["deleteMe", "logout", "logoutAll", "follow"];
/// Duration of each of these separate runs.
const ALONE_LIMIT: Duration = Duration::from_secs(15);
/// Operations that cannot succeed without a login at a provider.
const NEEDS_A_PROVIDER: [&str; 2] = ["POST /v1/auth/callback", "POST /v1/auth/refresh"];

/// Fuzzes the REST API from its OpenAPI document
///
/// Starts a private PostgreSQL and a `tiris-api` of this build, signs in an admin who owns objects of every kind, and runs
/// Schemathesis. It passes when there is no 5xx, every response matches the document, no request that the document
/// forbids is accepted, no operation works without a token, and every operation succeeds at least once.
#[derive(Parser)]
#[command(name = "tiris-fuzz", version)]
struct Cli {
    /// Seconds of the main run
    #[arg(
        long,
        env = "FUZZ_SECONDS",
        value_name = "SECONDS",
        default_value_t = 120
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(30..=86_400))]
    seconds: u64,
    /// Seed of everything random [default: a new one, which is printed]
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
        .context("cannot create the objects to request")?;

    let seed = cli.seed.unwrap_or_else(rand::random);
    let schemathesis = Schemathesis {
        program: find_schemathesis()?,
        folder: folder.path().to_owned(),
        url: api.url(),
        seed,
    };
    let mut responses = Responses::default();
    let others = ALONE.map(|operation| format!("--exclude-operation-id={operation}"));
    let mut first = vec!["--workers=1".to_owned()];
    first.extend(FIRST.map(|operation| format!("--include-operation-id={operation}")));
    let limit = Duration::from_secs(cli.seconds);
    let mut passed = schemathesis
        .run("first", &admin, ALONE_LIMIT, &first, &mut responses)
        .await?;
    passed &= schemathesis
        .run("all", &admin, limit, &others, &mut responses)
        .await?;
    for operation in ALONE {
        let token = api.token(&format!("{operation}@fuzz.example")).await?;
        let only = [format!("--include-operation-id={operation}")];
        passed &= schemathesis
            .run(operation, &token, ALONE_LIMIT, &only, &mut responses)
            .await?;
    }

    ensure!(
        passed,
        "Schemathesis found failures, see above; repeat them with FUZZ_SEED={seed}"
    );
    let operations = api::operations(&api.url()).await?;
    let never = responses.without_success(operations, &NEEDS_A_PROVIDER);
    ensure!(
        never.is_empty(),
        "operations that never succeeded: {}; FUZZ_SEED={seed}",
        never.join(", ")
    );
    println!(
        "{} responses, all as documented; FUZZ_SEED={seed}",
        responses.count
    );
    Ok(())
}
