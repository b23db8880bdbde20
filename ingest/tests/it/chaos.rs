//! A short run of the chaos harness; `make chaos` runs a long one.

use anyhow::{Context, Result, ensure};
use std::process::Command;
use tiris_testing::binary;

/// How long faults are injected, and the number of events meanwhile.
const SECONDS: &str = "15";
const EVENTS: &str = "8000";

#[test]
fn the_books_are_right_after_faults_under_load() -> Result<()> {
    let program =
        binary("tiris-chaos").context("it needs the feature testing: run `make build`")?;
    let seed: u64 = rand::random();
    println!("CHAOS_SEED={seed}");

    let output = Command::new(program)
        .args(["--scenario", "faults", "--verbose"])
        .args(["--seconds", SECONDS])
        .args(["--events", EVENTS])
        .args(["--seed", &seed.to_string()])
        .output()?;

    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    ensure!(status.success(), "{status}:\n{printed}\n{errors}");
    Ok(())
}
